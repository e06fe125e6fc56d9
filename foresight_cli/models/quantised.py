"""Quantised checkpoints: how they are recognised, and which of them transformers reads on this machine."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple

from foresight_cli.errors import first_line
from foresight_cli.models.weight_files import UNQUANTISED, Tensor

PACKAGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "aqlm": ("AQLM", ("aqlm",)),
    "auto-round": ("AutoRound", ("auto-round",)),
    "awq": ("AWQ", ("gptqmodel", "accelerate")),
    "bitnet": ("BitNet", ("accelerate",)),
    "bitsandbytes": ("bitsandbytes", ("bitsandbytes", "accelerate")),
    "compressed-tensors": ("compressed-tensors", ("compressed-tensors", "accelerate")),
    "eetq": ("EETQ", ("eetq", "accelerate")),
    "fbgemm_fp8": ("fbgemm fp8", ("fbgemm-gpu", "accelerate")),
    "fp8": ("block-wise fp8", ("accelerate",)),
    "gptq": ("GPTQ", ("gptqmodel", "optimum")),
    "higgs": ("HIGGS", ("flute-kernel", "fast-hadamard-transform", "accelerate")),
    "hqq": ("HQQ", ("hqq",)),
    "mxfp4": ("MXFP4", ("kernels", "accelerate")),
    "quanto": ("quanto", ("optimum-quanto", "accelerate")),
    "quark": ("Quark", ("amd-quark",)),
    "spqr": ("SpQR", ("spqr-quant", "accelerate")),
    "torchao": ("torchao", ("torchao",)),
    "vptq": ("VPTQ", ("vptq", "accelerate")),
}
"""The name of each ``quant_method``, and the packages that transformers needs to read it."""

_MODULES = {"flute-kernel": "flute", "amd-quark": "quark", "optimum-quanto": "optimum.quanto"}
"""The module of a package, if it is not the package's name with underscores."""

SIDE_FILES = (
    "quantize_config.json",
    "quant_config.json",
    "quantization_config.json",
    "hf_quant_config.json",
    "quanto_qmap.json",
)
"""Files in which tools write a quantisation that is not in ``config.json``."""

NARROW = {
    "I8": "int8", "U8": "uint8", "I4": "int4", "U4": "uint4", "F4": "float4", "F6_E2M3": "float6", "F6_E3M2": "float6",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz",
}  # fmt: skip
"""The torch name of each dtype of safetensors with fewer than 16 bits."""


class Quantisation(NamedTuple):
    """The quantisation that a checkpoint declares.

    Attributes:
        method: its ``quant_method``; empty if it names none.
        label: its name in messages.
        place: the key and file that declare it.
        top: whether transformers finds it there.
    """

    method: str
    label: str
    place: str
    top: bool


def quantisation(config: Mapping[str, Any], names: Collection[str], model: str) -> Quantisation | None:
    """Find the quantisation that a ``config.json``, or a file of these ``names``, declares; None if there is none.

    In a network with two towers, ``model=vision`` reads one with its part of the config, which does not declare it.
    """
    tower = model == "vision" and "vision_config" in config
    for place, settings in _settings(config):
        method, label = _named(settings)
        top = not tower and place in ("quantization_config", "text_config.quantization_config")
        return Quantisation(method, label, f"{place} in config.json", top)
    for name in SIDE_FILES:
        if name in names:
            return Quantisation("", "an unknown method", name, top=False)
    return None


def _settings(config: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every quantisation in a ``config.json``, at any depth, with its place; the outermost first."""
    for key in ("quantization_config", "compression_config"):
        if isinstance(config.get(key), Mapping) and config[key]:
            yield f"{at}{key}", config[key]
    for key, value in config.items():
        if isinstance(value, Mapping) and key not in ("quantization_config", "compression_config"):
            yield from _settings(value, f"{at}{key}.")


def _named(settings: Mapping[str, Any]) -> tuple[str, str]:
    four, eight = settings.get("load_in_4bit"), settings.get("load_in_8bit")
    method = "bitsandbytes" if four or eight else str(settings.get("quant_method") or "").lower()
    label = PACKAGES[method][0] if method in PACKAGES else method or "an unknown method"
    bits = settings.get("bits") or (4 if four else 8 if eight else None)
    return method, f"{label} ({bits} bits)" if bits else label


def settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``quantization_config`` that transformers finds: at the top of ``config.json``, or of its decoder."""
    return dict(config.get("quantization_config") or (config.get("text_config") or {}).get("quantization_config") or {})


def refusal(how: Quantisation, library: str) -> str:
    """Return why this quantisation cannot be read here; empty if transformers reads it."""
    head = f"is quantised with {how.label} ({how.place})"
    if library == "diffusers" or not how.top or how.method not in PACKAGES:
        return f"{head}, which foresight does not read: {UNQUANTISED}"
    packages = PACKAGES[how.method][1]
    if lacking := [package for package in packages if not _installed(package)]:
        noun = "package" if len(lacking) == 1 else "packages"
        return f"{head}: to read it, install the {noun} with pip install {' '.join(lacking)}; or {UNQUANTISED}"
    return ""


def _installed(package: str) -> bool:
    try:
        return find_spec(_MODULES.get(package, package.replace("-", "_"))) is not None
    except ModuleNotFoundError:  # the parent of optimum.quanto
        return False


def unfit(settings: Any) -> str:
    """Return why transformers cannot run this quantisation on this machine, in its words; empty if it can.

    Args:
        settings: the ``quantization_config`` of a ``config.json``.
    """
    from transformers.quantizers import AutoHfQuantizer

    try:
        quantiser = AutoHfQuantizer.from_config(dict(settings), pre_quantized=True)
        quantiser.validate_environment(device_map={"": "cpu"}, dtype=None)
    except Exception as error:  # each method raises other errors
        return first_line(error)
    return ""


def narrow(tensors: Mapping[str, Tensor]) -> tuple[int, str]:
    """Count the weights of fewer than 16 bits, which mean nothing without their scales, and name one."""
    names = sorted(name for name, tensor in tensors.items() if tensor.dtype in NARROW)
    weights = [name for name in names if len(tensors[name].shape) > 1] or names
    return len(names), weights[0] if weights else ""


def narrow_refusal(tensors: Mapping[str, Tensor]) -> str:
    """Return the message for weights of fewer than 16 bits without a ``quantization_config``; empty if none are."""
    count, name = narrow(tensors)
    if not count:
        return ""
    tensor = tensors[name]
    return (
        f"holds {count} weights of fewer than 16 bits, for instance {name} ({NARROW[tensor.dtype]}) in {tensor.file}, "
        f"and no quantization_config in its config.json says how to scale them: {UNQUANTISED}"
    )


def gguf_refusal(place: str) -> str:
    """Return the message for weights in GGUF."""
    return f"{place} holds weights quantised as GGUF, which foresight does not read: {UNQUANTISED}"
