"""The numbers of one run on their way to ``metrics.jsonl``, and to a tracker where one was asked for."""

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
from foresight_cli.errors import ForesightError
from foresight_cli.trackers.tracker import Settings, Tracker

log = logging.getLogger(__name__)

METRICS = "metrics.jsonl"
_NEEDS = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow", "trackio": "trackio"}


class Tracking:
    """Numbers of one run; use as a context manager.

    ``metrics.jsonl`` has a JSON object a line. A tracker that fails is left alone from then on, with a warning: a
    server that is down must not cost a training run.
    """

    def __init__(self, path: Path | None, tracker: Tracker | None = None) -> None:
        """Write to ``path`` from its start on, unless it is None."""
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
        """Numbers of a part of the run, as ``seed-0``, ``test``; at a step or for the whole of it."""
        at = {} if step is None else {step_name: step}
        self._line({"run": run, **at, **metrics})
        self._to_tracker(lambda tracker: tracker.log({f"{run}/{name}": value for name, value in metrics.items()}, step))

    def note(self, name: str, text: str) -> None:
        """A word on the run."""
        self._line({name: text})
        self._to_tracker(lambda tracker: tracker.note(name, text))

    def file(self, path: Path) -> None:
        """A file that the run made; it is in the run's folder anyway."""
        self._to_tracker(lambda tracker: tracker.file(path))

    def _line(self, said: Mapping[str, Any]) -> None:
        if self._file:
            print(json.dumps(said), file=self._file, flush=True)

    def _to_tracker(self, do: Callable[[Tracker], None]) -> None:
        if self._tracker is None:
            return
        try:
            do(self._tracker)
        except Exception as error:
            said = str(error).strip().splitlines() or [""]
            name = type(self._tracker).__name__.removesuffix("Tracker")
            log.warning("warning: %s takes no more of this run: %s: %s", name, type(error).__name__, said[0])
            self._tracker = None


def open_tracking(config: TrackerConfig, stage: str, folder: Path, settings: Settings) -> Tracking:
    """Where the numbers of a run of ``stage`` go; its files lie in ``folder``.

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
        said = str(error).strip().splitlines() or [""]
        raise ForesightError(
            f"tracker={config.name} cannot start: {type(error).__name__}: {said[0]}. Leave tracker= out to go without"
        ) from None
    return Tracking(folder / METRICS, tracker)
