"""What a tracker has to have."""

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
        """Numbers at a step (an epoch, samples done), or of the whole run."""

    def note(self, name: str, text: str) -> None:
        """A word on the run, as its verdict."""

    def file(self, path: Path) -> None:
        """A file that the run made: a picture, a model card."""

    def close(self) -> None:
        """The run is over."""


Settings = Mapping[str, Any]


def settings_of(config: Any) -> Settings:
    """The settings of a stage as a tracker shows them; the tracker's own are left out."""
    return {key: value for key, value in asdict(config).items() if key != "tracker"}


def flat(settings: Settings, prefix: str = "") -> dict[str, str | float | int | bool]:
    """Nested settings as ``adapter.hidden``: what trackers show in columns.

    >>> flat({"adapter": {"name": "mlp", "hidden": 64}, "split": [0.6, 0.4], "push": None})
    {'adapter.name': 'mlp', 'adapter.hidden': 64, 'split': '[0.6, 0.4]'}
    """
    found: dict[str, str | float | int | bool] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        elif value is not None:
            found[f"{prefix}{key}"] = value if isinstance(value, str | float | int | bool) else str(value)
    return found
