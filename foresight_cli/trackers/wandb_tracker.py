"""Weights & Biases, online or as files to be synced later."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb

from foresight_cli.config.trackers import WandbConfig
from foresight_cli.trackers.tracker import Settings, flat


class WandbTracker:
    """A run of a project."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics at ``step``, or in the run's summary.

        The step is logged as a metric: wandb's step must never decrease, and each seed counts its epochs from 1.
        """
        if step is None:
            self._run.summary.update(dict(metrics))
        else:
            self._run.log({**metrics, "step": step})

    def note(self, name: str, text: str) -> None:
        """Record a text in the run's summary."""
        self._run.summary[name] = text

    def file(self, path: Path) -> None:
        """Show a picture; other files are saved with the run."""
        if path.suffix == ".png":
            self._run.log({path.stem: wandb.Image(str(path))})
        else:
            self._run.save(str(path), base_path=str(path.parent), policy="now")

    def close(self) -> None:
        """Send what is left."""
        self._run.finish()


def open_tracker(config: WandbConfig, name: str, folder: Path, settings: Settings) -> WandbTracker:
    """Return a new run; wandb writes its files to the run's folder."""
    run = wandb.init(
        project=config.project,
        entity=config.entity,
        name=name,
        dir=str(folder),
        mode=config.mode,  # type: ignore[arg-type]
        config=flat(settings),
        settings=wandb.Settings(silent=True, x_disable_stats=True, disable_git=True, save_code=False, console="off"),
    )
    run.define_metric("step")
    run.define_metric("*", step_metric="step")
    return WandbTracker(run)
