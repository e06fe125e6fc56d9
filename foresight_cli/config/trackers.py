"""Schemas of ``tracker=``."""

from __future__ import annotations

from dataclasses import dataclass

from foresight_cli.config.checks import one_of


@dataclass(frozen=True)
class NoTrackerConfig:
    """``tracker=none``."""

    name: str = "none"


@dataclass(frozen=True)
class TensorBoardConfig:
    """``tracker=tensorboard``."""

    name: str
    folder: str | None = None


@dataclass(frozen=True)
class WandbConfig:
    """``tracker=wandb``."""

    name: str
    project: str
    entity: str | None = None
    run: str | None = None
    mode: str = "online"

    def __post_init__(self) -> None:
        one_of("tracker.mode", self.mode, ("online", "offline", "disabled"))


@dataclass(frozen=True)
class MLflowConfig:
    """``tracker=mlflow``."""

    name: str
    experiment: str
    tracking_uri: str | None = None
    run: str | None = None


@dataclass(frozen=True)
class TrackioConfig:
    """``tracker=trackio``."""

    name: str
    project: str
    run: str | None = None


TrackerConfig = NoTrackerConfig | TensorBoardConfig | WandbConfig | MLflowConfig | TrackioConfig

TRACKERS = {
    "none": NoTrackerConfig,
    "tensorboard": TensorBoardConfig,
    "wandb": WandbConfig,
    "mlflow": MLflowConfig,
    "trackio": TrackioConfig,
}
"""The schema of each ``tracker=``."""
