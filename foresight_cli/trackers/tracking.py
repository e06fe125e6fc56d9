"""Logging of a run's numbers to ``metrics.jsonl``, and to a tracker if one is configured."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

from foresight_cli.config import TrackerConfig
from foresight_cli.errors import ForesightError, first_line
from foresight_cli.trackers.tracker import Settings, Tracker

log = logging.getLogger(__name__)

METRICS = "metrics.jsonl"
_NEEDS = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow", "trackio": "trackio"}


class Tracking:
    """Log of one run; use as a context manager.

    ``metrics.jsonl`` has one JSON object per line. A tracker that fails gets a warning and is not used again: a server
    that is down must not end a training run.
    """

    def __init__(self, path: Path | None, tracker: Tracker | None = None) -> None:
        """Overwrite the file ``path``, unless it is None."""
        self._file = path.open("w", encoding="utf-8") if path else None
        self._tracker = tracker

    def __enter__(self) -> Tracking:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file:
            self._file.close()
        if kind is not None:
            self._to_tracker(lambda tracker: tracker.note("stopped by", kind.__name__))
        self._to_tracker(lambda tracker: tracker.close())

    def log(self, run: str, metrics: Mapping[str, float], step: int | None = None, *, step_name: str = "step") -> None:
        """Log numbers of a part of the run, such as ``seed-0`` or ``test``, at a step or for the whole part."""
        at = {} if step is None else {step_name: step}
        self._line({"run": run, **at, **metrics})
        self._to_tracker(lambda tracker: tracker.log({f"{run}/{name}": value for name, value in metrics.items()}, step))

    def note(self, name: str, text: str) -> None:
        """Record a text about the run."""
        self._line({name: text})
        self._to_tracker(lambda tracker: tracker.note(name, text))

    def file(self, path: Path) -> None:
        """Give a file that the run made to the tracker; it is in the run's folder anyway."""
        self._to_tracker(lambda tracker: tracker.file(path))

    def _line(self, values: Mapping[str, Any]) -> None:
        if self._file:
            print(json.dumps(values), file=self._file, flush=True)

    def _to_tracker(self, do: Callable[[Tracker], None]) -> None:
        if self._tracker is None:
            return
        try:
            do(self._tracker)
        except Exception as error:
            name = type(self._tracker).__name__.removesuffix("Tracker")
            log.warning(
                "warning: %s failed and gets nothing more of this run: %s: %s",
                name,
                type(error).__name__,
                first_line(error),
            )
            self._tracker = None


def open_tracking(config: TrackerConfig, stage: str, folder: Path, settings: Settings) -> Tracking:
    """Open the log of a run of ``stage``, whose files are in ``folder``, and its tracker.

    Raises:
        ForesightError: the tracker's package is not installed, or the tracker cannot start.
    """
    if config.name == "none":
        return Tracking(folder / METRICS)
    needs = _NEEDS[config.name]
    if find_spec(needs) is None:
        raise ForesightError(
            f"tracker={config.name} needs the package {needs}: pip install 'foresight-latents[{config.name}]'"
        )
    opened: Callable[..., Tracker] = import_module(f"foresight_cli.trackers.{config.name}_tracker").open_tracker
    name = getattr(config, "run", None) or f"{stage} {folder.parent.name} {folder.name}"
    try:
        tracker = opened(config, name, folder, settings)
    except Exception as error:
        raise ForesightError(
            f"tracker={config.name} cannot start: {type(error).__name__}: {first_line(error)}. To run without it, "
            "leave tracker= out"
        ) from None
    return Tracking(folder / METRICS, tracker)
