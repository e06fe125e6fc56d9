"""The schema of each ``runner=``."""

from __future__ import annotations

from dataclasses import dataclass

from foresight_cli.config.checks import between


@dataclass(frozen=True)
class LocalConfig:
    """``runner=local``."""

    name: str
    workers: int

    def __post_init__(self) -> None:
        between("runner.workers", self.workers, 1, 256)


RunnerConfig = LocalConfig
