"""The numbers that a network computes in where the user leaves the choice: ``model.dtype=auto``."""

from __future__ import annotations

import logging
from dataclasses import replace

from foresight_cli.config import ExtractConfig, ModelConfig, NetworkConfig, RayConfig
from foresight_cli.devices import has_gpu
from foresight_cli.extraction.memory import total_bytes
from foresight_cli.models import open_model
from foresight_cli.models.network import ITEMSIZE

log = logging.getLogger(__name__)

SHARE = 0.5
"""Of the memory of the machine, what weights in float32 may take: while they are read, their files are mapped into
memory beside them. Of all memory rather than of what is free now, so that a run that is killed and typed again computes
in the same numbers, and finds what it had cached."""


def with_dtype(config: ExtractConfig) -> ExtractConfig:
    """``config`` with the dtype that ``model.dtype=auto`` means here; as it is where the user has named one.

    On a GPU it is bfloat16, which no published model overflows and which takes half the memory. On a CPU it is float32
    where the weights fit in memory so, else bfloat16; a line says which, since it changes the latents and their key.

    Raises:
        ForesightError: the checkpoint cannot be read; no Ray cluster answers that could say whether it has GPUs.
    """
    model = config.model
    if not isinstance(model, NetworkConfig) or model.dtype != "auto":
        return config
    dtype = "bfloat16" if _on_gpu(config) else _of_cpu(model)
    return replace(config, model=replace(model, dtype=dtype))


def _on_gpu(config: ExtractConfig) -> bool:
    if config.device != "auto":
        return config.device != "cpu"
    if not isinstance(config.runner, RayConfig):
        return has_gpu()
    if config.runner.gpus_per_worker is not None:
        return config.runner.gpus_per_worker > 0
    from foresight_cli.ray_cluster import cluster_has_gpus

    return cluster_has_gpus(config.runner)


def _of_cpu(model: ModelConfig) -> str:
    size = open_model(model).size(frames=1)
    memory, count = total_bytes(), None if size is None else size.weights
    if memory is None or count is None or ITEMSIZE["float32"] * count <= SHARE * memory:
        return "float32"
    log.info(
        "%s: computing in bfloat16, as the weights would take %.1f GB of the %.1f GB of memory in float32 "
        "(model.dtype=float32 tries it all the same)",
        *(model.name, ITEMSIZE["float32"] * count / 1e9, memory / 1e9),
    )
    return "bfloat16"
