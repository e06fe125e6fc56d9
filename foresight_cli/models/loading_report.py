"""Weights that a checkpoint lacks, and weights in it that the network has no place for.

The same report is made twice: from the headers of the weight files before any weight is read, and by
``from_pretrained`` itself. A weight that would be filled at random or left out is refused, unless it is on a list of
weights that no latent depends on.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from foresight_cli.errors import ForesightError
from foresight_cli.models.checkpoint import Checkpoint
from foresight_cli.models.checkpoint_folder import MERGE
from foresight_cli.models.weight_files import UNQUANTISED, Tensor

_LORA = re.compile(r"lora_|\.base_layer\.|\.lora\.")
_SCALES = re.compile(
    r"(scale_weight|weight_scale|weight_scale_inv|scale_inv|input_scale|scale_input|scaled_fp8|comfy_quant|qweight|qzeros"
    r"|g_idx|weight_packed|absmax|quant_map|nested_absmax|SCB|\.scales|\.zeros|quant_state\.\w+)$"
)


@dataclass(frozen=True)
class Report:
    """Weights that do not fit between a checkpoint and a network.

    Attributes:
        missing: weights of the network that the checkpoint does not have.
        unexpected: weights of the checkpoint that the network has no place for.
        mismatched: weights whose shape in the file, ``[1]``, is not that of the network, ``[2]``.
    """

    missing: Collection[str] = ()
    unexpected: Collection[str] = ()
    mismatched: Collection[tuple[str, Collection[int], Collection[int]]] = field(default=())

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> Report:
        """Read ``output_loading_info=True`` of transformers or diffusers."""
        return cls(info["missing_keys"], info["unexpected_keys"], info["mismatched_keys"])


def refuse_what_does_not_fit(
    report: Report, checkpoint: Checkpoint, network: str, unused: Collection[str], harmless: Collection[str]
) -> None:
    """Refuse a checkpoint of which weights would be left out, or filled at random.

    Args:
        report: what does not fit.
        checkpoint: where it was read.
        network: its name, for messages.
        unused: prefixes of the names of weights that no latent depends on: they may be missing.
        harmless: regular expressions for the names of weights that may be in the file without a place.

    Raises:
        ForesightError: with the number of such weights, the name of one, and its file.
    """
    name = checkpoint.name
    if report.mismatched:
        key, in_file, in_network = sorted(report.mismatched)[0]
        at, tensor = _place(key, checkpoint.tensors)
        more = f" ({len(report.mismatched) - 1} more do not fit)" if len(report.mismatched) > 1 else ""
        raise ForesightError(
            f"the checkpoint {name} does not fit its config.json: {at}{_in(tensor)} has the shape {list(in_file)}, and "
            f"the config makes it {list(in_network)}{more}"
        )
    missing = sorted(key for key in report.missing if not key.startswith(tuple(unused)))
    pattern = re.compile("|".join(f"(?:{name})" for name in harmless)) if harmless else None
    unexpected = sorted(key for key in report.unexpected if pattern is None or not pattern.search(key))
    if not missing and not unexpected:
        return
    at, tensor = _place(unexpected[0], checkpoint.tensors) if unexpected else ("", None)
    weights = "1 weight" if len(unexpected) == 1 else f"{len(unexpected)} weights"
    holds = f"{weights} that {network} has no place for, for instance {at}{_in(tensor)}"
    if any(_LORA.search(key) for key in unexpected):
        raise ForesightError(f"the checkpoint {name} holds a LoRA that is not merged ({holds}): {MERGE}")
    if any(_SCALES.search(key) for key in unexpected):
        raise ForesightError(f"the checkpoint {name} is quantised ({holds}): {UNQUANTISED}")
    if missing:
        beside = f", and holds {holds}" if unexpected else ""
        raise ForesightError(
            f"the checkpoint {name} lacks {len(missing)} weights of {network}, for instance {missing[0]}{beside}: "
            "it is incomplete, or of another kind of model"
        )
    raise ForesightError(f"the checkpoint {name} holds {holds}: it is of another kind of model, or of another version")


def _in(tensor: Tensor | None) -> str:
    return f" in {tensor.file}" if tensor else ""


def _place(key: str, tensors: Mapping[str, Tensor]) -> tuple[str, Tensor | None]:
    """Find the name in the file of a weight that a library may have renamed, and its tensor; None if unknown.

    Libraries change the beginning of a name, so it is the one tensor that shares the longest end.
    """
    if key in tensors:
        return key, tensors[key]
    parts = key.split(".")
    for start in range(1, len(parts)):
        end = ".".join(parts[start:])
        same = [name for name in tensors if name == end or name.endswith(f".{end}")]
        if same:
            return (same[0], tensors[same[0]]) if len(same) == 1 else (key, None)
    return key, None


def foreseen_transformers(network: Any, config: Any, tensors: Mapping[str, Tensor]) -> Report | None:
    """Report what ``network.from_pretrained`` would, from the headers alone; None if this transformers cannot.

    The loading of transformers runs on torch's ``meta`` device, where tensors have shapes and no numbers: so old names,
    tied weights and weights that it splits or joins are judged by the same rules that will read them.

    Args:
        network: a ``PreTrainedModel`` class.
        config: its config.
        tensors: what the weight files hold.
    """
    import torch
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with torch.device("meta"):
            made = network._from_config(config)
            weights = {name: torch.empty(t.shape, dtype=_meta_dtype(t.dtype)) for name, t in tensors.items()}
        return _dry_load(network, made, weights)
    finally:
        if shown:
            logging.enable_progress_bar()


def _dry_load(network: Any, made: Any, weights: dict[str, Any]) -> Report | None:
    """Run steps of ``from_pretrained`` that are not public; None if this version has others: loading then reports."""
    import torch

    try:
        from transformers.conversion_mapping import get_model_conversion_mapping
        from transformers.modeling_utils import LoadStateDictConfig

        settings = LoadStateDictConfig(
            pretrained_model_name_or_path=None,
            ignore_mismatched_sizes=True,
            device_map={"": torch.device("meta")},
            dtype=torch.bfloat16,
            dtype_plan={},
            weight_mapping=get_model_conversion_mapping(made, None, None),
        )
        info, _ = network._load_pretrained_model(made, weights, None, settings)
        made.mark_tied_weights_as_initialized(info)
        made.tie_weights(missing_keys=info.missing_keys, recompute_mapping=False)
        made._adjust_missing_and_unexpected_keys(info)
        return Report.of(info.to_dict())
    except (ImportError, AttributeError, TypeError, NotImplementedError):
        return None


def foreseen_diffusers(
    network: Any, config: Mapping[str, Any], tensors: Mapping[str, Tensor], *, sharded: bool
) -> Report:
    """Report what ``network.from_pretrained`` of diffusers would, from the headers alone.

    Args:
        network: a ``ModelMixin`` class.
        config: the content of its ``config.json``.
        tensors: what the weight files hold.
        sharded: whether there are several files, in which case diffusers does not update old names.
    """
    import torch

    with torch.device("meta"):
        made = network.from_config(dict(config))
        weights = {name: torch.empty(t.shape, dtype=_meta_dtype(t.dtype)) for name, t in tensors.items()}
    if not sharded and hasattr(made, "_fix_state_dict_keys_on_load"):
        made._fix_state_dict_keys_on_load(weights)
    shapes = {name: tuple(tensor.shape) for name, tensor in made.state_dict().items()}
    ignored = [re.compile(pattern) for pattern in network._keys_to_ignore_on_load_unexpected or ()]
    unexpected = [name for name in weights if name not in shapes and not any(p.search(name) for p in ignored)]
    both = ((name, tuple(weights[name].shape), shape) for name, shape in shapes.items() if name in weights)
    return Report(
        missing=[name for name in shapes if name not in weights],
        unexpected=unexpected,
        mismatched=[(name, in_file, shape) for name, in_file, shape in both if in_file != shape],
    )


def _meta_dtype(dtype: str) -> Any:
    """Return int64 for integers and bfloat16 for the rest: no number is read, so only the kind matters."""
    import torch

    return torch.int64 if dtype in ("I64", "I32", "I16", "U64", "U32", "U16", "BOOL") else torch.bfloat16
