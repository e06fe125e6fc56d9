"""Training as it runs: the loss curve on a terminal; elsewhere a line now and then."""

from __future__ import annotations

import logging
import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from foresight_cli.training.checkpoint import Epoch

log = logging.getLogger(__name__)

QUIET_SECONDS = 30.0
BARS = "▁▂▃▄▅▆▇█"
WIDTH = 40


class LiveTraining:
    """Shows each epoch as it comes; use as a context manager."""

    def __init__(self, most: int) -> None:
        """``most`` epochs at most in a run."""
        self._most = most
        self._said = time.monotonic()
        self._run, self._epochs = "", list[Epoch]()
        console = Console(stderr=True)
        self._live = Live(console=console, transient=True, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> LiveTraining:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def on_epoch(self, run: str, epoch: Epoch) -> None:
        """An epoch of the run named ``run`` is over."""
        if run != self._run:
            self._run, self._epochs = run, []
        self._epochs.append(epoch)
        best = min(self._epochs, key=lambda e: e.validation)
        said = (
            f"{run}: epoch {epoch.number} of at most {self._most}, loss {epoch.train:.3f}, "
            f"validation {epoch.validation:.3f}, best {best.validation:.3f} at {best.number}"
        )
        if self._live:
            self._live.update(Text(f"{said}  {curve([e.validation for e in self._epochs])}"), refresh=True)
        elif time.monotonic() - self._said > QUIET_SECONDS:
            self._said = time.monotonic()
            log.info("%s", said)


def curve(losses: list[float]) -> str:
    """The last losses as a row of bars, from the lowest to the highest of all."""
    low, high = min(losses), max(losses)
    step = max(1, -(-len(losses) // WIDTH))
    span = (high - low) or 1.0
    return "".join(BARS[round((len(BARS) - 1) * (loss - low) / span)] for loss in losses[::step])
