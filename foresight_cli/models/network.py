"""A network of transformers or diffusers from a checkpoint: its own class, its own weights, or random ones."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Any

from foresight_cli.config import NetworkConfig
from foresight_cli.errors import ForesightError
from foresight_cli.models.checkpoint import Checkpoint

ITEMSIZE = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of one number, by dtype."""


def checkpoint_of(config: NetworkConfig, subfolder: str | None = None) -> Checkpoint:
    """The files behind ``config``; with ``init=random`` the weights are not among them."""
    return Checkpoint(config.checkpoint, config.revision, subfolder, weights=config.init == "pretrained")


def network_recipe(config: NetworkConfig, checkpoint: Checkpoint) -> dict[str, Any]:
    """The part of a recipe that every network shares; ``init`` stands only where the weights are random."""
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
    device_map: str | None = None,
) -> Any:
    """The transformers class (or auto class) ``network``, read from ``checkpoint``, in evaluation mode on ``device``.

    Args:
        network: a ``PreTrainedModel`` class, or an auto class.
        config: dtype, and whether the weights are the checkpoint's or random.
        checkpoint: where the files are.
        device: where it runs.
        what: the network's name in messages.
        unused: how the names of weights begin that no latent depends on: they may be missing.
        device_map: in place of ``device``, how accelerate spreads it over GPUs, memory and disk.

    Raises:
        ForesightError: the files cannot be read, or lack weights; the network is to be spread without accelerate.
    """
    import torch
    from transformers import AutoConfig
    from transformers.utils.logging import disable_progress_bar

    if not sys.stderr.isatty():
        disable_progress_bar()
    if device_map is not None:
        _need_accelerate()  # before gigabytes are fetched
    folder, subfolder = checkpoint.fetch(), checkpoint.subfolder or ""
    dtype = getattr(torch, config.dtype)
    with checkpoint.reading():
        if config.init == "random":
            shape = getattr(network, "config_class", None) or AutoConfig
            build = getattr(network, "_from_config", None) or network.from_config
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.init_seed)
                made = build(shape.from_pretrained(folder, subfolder=subfolder), dtype=dtype)
        else:
            made, report = network.from_pretrained(
                folder,
                subfolder=subfolder,
                dtype=dtype,
                device_map=device_map,
                use_safetensors=True,
                output_loading_info=True,
            )
            missing = [weight for weight in report["missing_keys"] if not weight.startswith(tuple(unused))]
            checkpoint.refuse_missing(missing, what)
    made = made.eval().requires_grad_(False)
    if device_map is None:
        return made.to(device)
    return _spread(made, device_map) if config.init == "random" else made


def input_device(network: Any) -> Any:
    """The ``torch.device`` that a network of transformers takes its inputs on: of one that is spread, the first GPU."""
    import torch

    places = getattr(network, "hf_device_map", None)
    if not places:
        return network.device
    first = next((place for place in places.values() if place not in ("cpu", "disk")), "cpu")
    return torch.device(f"cuda:{first}" if isinstance(first, int) else first)


def _spread(network: Any, device_map: str) -> Any:
    """A network that was made in memory, shared out over GPUs and memory, block by block.

    Raises:
        ForesightError: it does not fit there; there are no files that the rest could be read from.
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


def load_diffusers(network: Any, config: NetworkConfig, checkpoint: Checkpoint, device: str, *, what: str) -> Any:
    """The diffusers class ``network``; arguments and errors as in :func:`load_transformers`."""
    import torch

    folder, dtype = checkpoint.fetch(), getattr(torch, config.dtype)
    with checkpoint.reading():
        if config.init == "random":
            shape = network.load_config(folder, subfolder=checkpoint.subfolder)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.init_seed)
                made = network.from_config(shape).to(dtype)
        else:
            made, report = network.from_pretrained(
                folder,
                subfolder=checkpoint.subfolder,
                torch_dtype=dtype,
                use_safetensors=True,
                low_cpu_mem_usage=False,  # the other way wants accelerate
                output_loading_info=True,
            )
            checkpoint.refuse_missing(report["missing_keys"], what)
    return made.to(device).eval().requires_grad_(False)
