"""Choice of the dtype of a network for ``model.dtype=auto``."""

from __future__ import annotations

import logging
from dataclasses import replace

from foresight_cli.config import ExtractConfig, ModelConfig, NetworkConfig, RayConfig
from foresight_cli.machine.devices import has_gpu
from foresight_cli.machine.memory import total_bytes
from foresight_cli.models import open_model
from foresight_cli.models.network import ITEMSIZE

log = logging.getLogger(__name__)

SHARE = 0.5
"""Share of the machine's memory that weights in float32 may take: while they are read, their files are mapped into
memory as well. It is a share of all memory and not of the free memory, so that a run that is killed and started again
computes in the same dtype, and finds what it had cached."""


def with_dtype(config: ExtractConfig) -> ExtractConfig:
    """Return ``config`` with ``model.dtype=auto`` replaced by a dtype; unchanged if the user has named one.

    On a GPU it is bfloat16, which no published model overflows and which takes half the memory. On a CPU it is float32
    if the weights fit in memory, else bfloat16; a log line reports that, since it changes the latents and their key.

    Raises:
        ForesightError: the checkpoint cannot be read, or the Ray cluster that may have GPUs does not answer.
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
    from foresight_cli.cluster.connection import cluster_has_gpus

    return cluster_has_gpus(config.runner)


def _of_cpu(model: ModelConfig) -> str:
    size = open_model(model).size(frames=1)
    memory, count = total_bytes(), None if size is None else size.weights
    if count is None or ITEMSIZE["float32"] * count <= SHARE * memory:
        return "float32"
    log.info(
        "%s: computing in bfloat16, since in float32 the weights would take %.1f GB of %.1f GB of memory "
        "(model.dtype=float32 tries it anyway)",
        *(model.name, ITEMSIZE["float32"] * count / 1e9, memory / 1e9),
    )
    return "bfloat16"
