"""Schemas of ``runner=``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from foresight_cli.config.checks import between
from foresight_cli.errors import UsageError


@dataclass(frozen=True)
class LocalConfig:
    """``runner=local``."""

    name: str
    workers: int

    def __post_init__(self) -> None:
        between("runner.workers", self.workers, 1, 256)


@dataclass(frozen=True)
class RayConfig:
    """``runner=ray``."""

    name: str
    address: str
    workers: int | None  # None: as many as fit
    gpus_per_worker: float | None  # None: 1 if the cluster has GPUs
    cpus_per_worker: float
    wait: float  # seconds

    def __post_init__(self) -> None:
        if not re.fullmatch(r"auto|local|ray://[^/\s@]+:\d+|[^/\s@]+:\d+", self.address):
            raise UsageError(
                f"runner.address={self.address}: wanted auto, local, HOST:6379 (a cluster's head) or "
                "ray://HOST:10001 (from outside)"
            )
        if self.workers is not None:
            between("runner.workers", self.workers, 1, 10_000)
        if self.gpus_per_worker is not None:
            between("runner.gpus_per_worker", self.gpus_per_worker, 0, 64)
        between("runner.cpus_per_worker", self.cpus_per_worker, 0.1, 1024)
        between("runner.wait", self.wait, 1, 86_400)


RunnerConfig = LocalConfig | RayConfig

RUNNERS = {"local": LocalConfig, "ray": RayConfig}
"""The schema of each ``runner=``."""
