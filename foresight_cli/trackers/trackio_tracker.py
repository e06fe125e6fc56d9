"""Trackio: runs in a local database, with a local dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foresight_cli.config.trackers import TrackioConfig
from foresight_cli.trackers.tracker import Settings, flat


class TrackioTracker:
    """A run of a project."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics at ``step``."""
        self._run.log(dict(metrics), step=step)

    def note(self, name: str, text: str) -> None:
        """Record a text among the metrics."""
        self._run.log({name: text})

    def file(self, path: Path) -> None:
        """Show a picture; Trackio keeps no other files."""
        if path.suffix == ".png":
            import trackio

            self._run.log({path.stem: trackio.Image(str(path))})

    def close(self) -> None:
        """Write what is left."""
        self._run.finish()


def open_tracker(config: TrackioConfig, name: str, folder: Path, settings: Settings) -> TrackioTracker:
    """Return a new run of ``config.project``."""
    import trackio

    quiet = {"embed": False, "auto_log_cpu": False, "auto_log_gpu": False}
    return TrackioTracker(trackio.init(project=config.project, name=name, config=flat(settings), **quiet))
