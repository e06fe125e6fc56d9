"""The protocol of trackers, and their view of a stage's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol


class Tracker(Protocol):
    """One run of a stage in an experiment tracker; opened with the run's name and settings.

    Names of metrics have a slash between the part of the run and the quantity: ``seed-0/validation``, ``test/r2``.
    """

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log numbers at a step (an epoch, samples done), or of the whole run."""

    def note(self, name: str, text: str) -> None:
        """Record a text about the run, such as its verdict."""

    def file(self, path: Path) -> None:
        """Record a file that the run made: a picture, a model card."""

    def close(self) -> None:
        """Finish the run."""


Settings = Mapping[str, Any]


def settings_of(config: Any) -> Settings:
    """Return the settings of a stage for a tracker; those of the tracker itself are left out."""
    return {key: value for key, value in asdict(config).items() if key != "tracker"}


def flat(settings: Settings, prefix: str = "") -> dict[str, str | float | int | bool]:
    """Flatten nested settings to names such as ``adapter.hidden``, which trackers show in columns.

    >>> flat({"adapter": {"name": "mlp", "hidden": 64}, "split": [0.6, 0.4], "push": None})
    {'adapter.name': 'mlp', 'adapter.hidden': 64, 'split': '[0.6, 0.4]'}
    """
    columns: dict[str, str | float | int | bool] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            columns |= flat(value, f"{prefix}{key}.")
        elif value is not None:
            columns[f"{prefix}{key}"] = value if isinstance(value, str | float | int | bool) else str(value)
    return columns
