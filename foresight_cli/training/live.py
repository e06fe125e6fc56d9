"""Display of a running training: the loss curve on a terminal, elsewhere a line from time to time."""

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
    """Display of each finished epoch; use as a context manager."""

    def __init__(self, most: int) -> None:
        """Show runs of at most ``most`` epochs."""
        self._most = most
        self._last_line = time.monotonic()
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
        """Show a finished epoch of the run named ``run``."""
        if run != self._run:
            self._run, self._epochs = run, []
        self._epochs.append(epoch)
        best = min(self._epochs, key=lambda e: e.validation)
        message = (
            f"{run}: epoch {epoch.number} of at most {self._most}, loss {epoch.train:.3f}, "
            f"validation {epoch.validation:.3f}, best {best.validation:.3f} at {best.number}"
        )
        if self._live:
            self._live.update(Text(f"{message}  {curve([e.validation for e in self._epochs])}"), refresh=True)
        elif time.monotonic() - self._last_line > QUIET_SECONDS:
            self._last_line = time.monotonic()
            log.info("%s", message)


def curve(losses: list[float]) -> str:
    """Return the losses as a row of bars, scaled from the lowest loss to the highest."""
    low, high = min(losses), max(losses)
    step = max(1, -(-len(losses) // WIDTH))
    span = (high - low) or 1.0
    return "".join(BARS[round((len(BARS) - 1) * (loss - low) / span)] for loss in losses[::step])
