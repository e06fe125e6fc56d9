"""A network of transformers or diffusers from a checkpoint: its own class, its own weights, or random ones."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foresight_cli.config import NetworkConfig
from foresight_cli.errors import ForesightError
from foresight_cli.models.checkpoint import Checkpoint
from foresight_cli.models.loading_report import (
    Report,
    foreseen_diffusers,
    foreseen_transformers,
    refuse_what_does_not_fit,
)
from foresight_cli.models.quantised import settings_of, unfit
from foresight_cli.models.size import weight_count

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

LARGE = 500_000_000
"""Bytes of weights from which reading takes long enough to log a line about it."""

ITEMSIZE = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of one number, by dtype."""


def checkpoint_of(
    config: NetworkConfig,
    subfolder: str | None = None,
    *,
    library: str = "transformers",
    beside: tuple[str, ...] = (),
) -> Checkpoint:
    """Return the checkpoint that ``config`` names; with ``init=random`` without its weights."""
    return Checkpoint(
        config.checkpoint,
        config.revision,
        subfolder.strip("/") or None if subfolder else None,
        weights=config.init == "pretrained",
        variant=config.variant,
        library=library,
        model=config.name,
        beside=beside,
    )


def network_recipe(config: NetworkConfig, checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the part of a recipe that every network shares; ``init`` and ``variant`` appear only if they are set."""
    random = {} if config.init == "pretrained" else {"init": config.init, "init_seed": config.init_seed}
    return {"name": config.name, **checkpoint.recipe(), "dtype": config.dtype, **random}


def load_transformers(
    network: Any,
    config: NetworkConfig,
    checkpoint: Checkpoint,
    device: str,
    *,
    what: str,
    unused: Collection[str] = (),
    harmless: Collection[str] = (),
    device_map: str | None = None,
) -> Any:
    """Load the transformers class (or auto class) ``network`` from ``checkpoint``, in evaluation mode on ``device``.

    Args:
        network: a ``PreTrainedModel`` class, or an auto class.
        config: dtype, and whether the weights are the checkpoint's or random.
        checkpoint: where the files are.
        device: where it runs.
        what: the network's name in messages.
        unused: prefixes of the names of weights that no latent depends on: they may be missing.
        harmless: regular expressions for weights that the checkpoint may hold though the network has no place for them.
        device_map: how accelerate spreads it over GPUs, memory and disk, in place of ``device``.

    Raises:
        ForesightError: the files cannot be read, lack weights, or hold others; ``device_map`` is given and accelerate
            is not installed.
    """
    import torch
    from transformers import AutoConfig
    from transformers.utils.logging import disable_progress_bar

    if not sys.stderr.isatty():
        disable_progress_bar()
    if device_map is not None:
        _need_accelerate()  # before gigabytes are fetched
    folder = checkpoint.fetch() / (checkpoint.subfolder or "")
    dtype = getattr(torch, config.dtype)
    placed: dict[str, Any] = {"device_map": device_map}
    if config.init == "pretrained" and checkpoint.is_quantised:
        placed = {"device_map": device_map or {"": device}, **_dequantised(checkpoint.config)}
    with checkpoint.reading(), _timed(config, checkpoint):
        if config.init == "random":
            shape = getattr(network, "config_class", None) or AutoConfig
            build = getattr(network, "_from_config", None) or network.from_config
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.init_seed)
                made = build(shape.from_pretrained(folder), dtype=dtype)
        else:
            made, report = _read(network, folder, checkpoint.variant, dtype, placed)
            refuse_what_does_not_fit(report, checkpoint, what, unused, harmless)
        made = made.eval().requires_grad_(False)
    if placed["device_map"] is None:
        return made.to(device)
    return _spread(made, device_map) if device_map and config.init == "random" else made


def _read(
    network: Any, folder: Path, variant: str | None, dtype: torch.dtype, placed: Mapping[str, Any]
) -> tuple[Any, Report]:
    """Load the network with the weights in ``folder``, and report what did not fit."""
    dequantised = "quantization_config" in placed
    with warnings.catch_warnings():
        if dequantised:  # transformers warns that it combines the file's settings and this one
            warnings.simplefilter("ignore", UserWarning)
        made, info = network.from_pretrained(
            folder,
            variant=variant,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are in the report, with both shapes
            **placed,
        )
    # weights that were not quantised still have the file's dtype
    return made.to(dtype) if dequantised else made, Report.of(info)


def foresee_transformers(
    network: Any,
    checkpoint: Checkpoint,
    *,
    what: str,
    unused: Collection[str] = (),
    harmless: Collection[str] = (),
) -> None:
    """Refuse what :func:`load_transformers` would, before a weight is read; the same arguments and errors."""
    checkpoint.check()
    if not checkpoint.weights:
        return
    if checkpoint.is_quantised:
        if reason := unfit(settings_of(checkpoint.config)):
            raise ForesightError(f"the checkpoint {checkpoint.name} is quantised, and cannot be read here: {reason}")
        return
    if checkpoint.tensors:
        with checkpoint.reading():
            settings = network.config_class.from_pretrained(checkpoint.file("config.json").parent)
            report = foreseen_transformers(network, settings, checkpoint.tensors)
            if report is not None:
                refuse_what_does_not_fit(report, checkpoint, what, unused, harmless)


def _dequantised(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the setting that reads quantised weights as plain numbers, the same on a CPU and a GPU; {} if none."""
    import transformers

    readers = {"fp8": "FineGrainedFP8Config", "compressed-tensors": "CompressedTensorsConfig"}
    name = readers.get(str(settings_of(config).get("quant_method")))
    return {"quantization_config": getattr(transformers, name)(dequantize=True)} if name else {}


@contextmanager
def _timed(config: NetworkConfig, checkpoint: Checkpoint) -> Iterator[None]:
    """Log how long large weights took to read, because nothing else is logged in these minutes."""
    size, start = ITEMSIZE[config.dtype] * (weight_count(checkpoint) or 0), time.monotonic()
    yield
    if size > LARGE:
        seconds = time.monotonic() - start
        log.info("%s: read %.1f GB of weights in %s in %.1f s", config.name, size / 1e9, config.dtype, seconds)


def input_device(network: Any) -> Any:
    """Return the ``torch.device`` for the inputs of a network of transformers: the first GPU if it is sharded."""
    import torch

    places = getattr(network, "hf_device_map", None)
    if not places:
        return network.device
    first = next((place for place in places.values() if place not in ("cpu", "disk")), "cpu")
    return torch.device(f"cuda:{first}" if isinstance(first, int) else first)


def _spread(network: Any, device_map: str) -> Any:
    """Spread a network that was built in memory over GPUs and memory, block by block.

    Raises:
        ForesightError: it does not fit there; it has no files that the rest could be read from.
    """
    from accelerate import dispatch_model, infer_auto_device_map
    from accelerate.utils import get_balanced_memory, get_max_memory

    whole = list(network._no_split_modules or ())
    if device_map == "sequential":
        room = get_max_memory()
    else:
        low = device_map == "balanced_low_0"
        room = get_balanced_memory(network, no_split_module_classes=whole, low_zero=low)
    places = infer_auto_device_map(network, max_memory=room, no_split_module_classes=whole)
    if "disk" in places.values():
        raise ForesightError(
            f"model.init=random with model.device_map={device_map}: the network does not fit on the GPUs and in memory "
            "together. Use model.dtype=bfloat16 or a machine with more"
        )
    return dispatch_model(network, places)


def _need_accelerate() -> None:
    from importlib.util import find_spec

    if find_spec("accelerate") is None:
        raise ForesightError("model.device_map= needs accelerate: pip install 'foresight-latents[accelerate]'")


def load_diffusers(
    network: Any,
    config: NetworkConfig,
    checkpoint: Checkpoint,
    device: str,
    *,
    what: str,
    harmless: Collection[str] = (),
) -> Any:
    """Load the diffusers class ``network``; arguments and errors as in :func:`load_transformers`."""
    import torch

    folder, dtype = checkpoint.fetch() / (checkpoint.subfolder or ""), getattr(torch, config.dtype)
    with checkpoint.reading(), _timed(config, checkpoint):
        if config.init == "random":
            shape = network.load_config(folder)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.init_seed)
                made = network.from_config(shape).to(dtype)
        else:
            made, info = network.from_pretrained(
                folder,
                variant=checkpoint.variant,
                torch_dtype=dtype,
                use_safetensors=True,
                low_cpu_mem_usage=False,  # True needs accelerate
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # refused below, with both shapes
            )
            refuse_what_does_not_fit(Report.of(info), checkpoint, what, (), harmless)
    return made.to(device).eval().requires_grad_(False)


def foresee_diffusers(network: Any, checkpoint: Checkpoint, *, what: str, harmless: Collection[str] = ()) -> None:
    """Refuse what :func:`load_diffusers` would, before a weight is read; the same arguments and errors."""
    checkpoint.check()
    if not checkpoint.tensors or checkpoint.layout is None:
        return
    with checkpoint.reading():
        sharded = checkpoint.layout.index is not None
        report = foreseen_diffusers(network, checkpoint.config, checkpoint.tensors, sharded=sharded)
        refuse_what_does_not_fit(report, checkpoint, what, (), harmless)
