"""Progress of extraction: a bar on a terminal; elsewhere a line per shard, and lines at intervals in between."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

log = logging.getLogger(__name__)

QUIET_SECONDS = 30.0
"""Longest time without a line while samples go through the network."""


class ShardProgress:
    """Counter of samples as they are computed and committed; use it as a context manager."""

    def __init__(self, title: str, total: int, shards: dict[int, int], *, quiet: float = QUIET_SECONDS,
                 on_commit: Callable[[int, float | None], None] | None = None) -> None:  # fmt: skip
        """Start with ``total`` samples, of which those of ``shards`` (samples by shard number) are still to do.

        ``on_commit`` is called after each shard with the committed samples and the computed samples per second.
        """
        self.title = title
        self.total = total
        self.committed = total - sum(shards.values())
        self.computed = self.committed
        self._shards = shards
        self._quiet = quiet
        self._on_commit = on_commit
        self._since: tuple[float, int] | None = None  # from the first samples: before them the model is loaded
        self._last_line = time.monotonic()
        console = Console(stderr=True)
        self._bar: Progress | None = None
        if console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, TextColumn("{task.fields[speed]}"), console=console, transient=True)
            self._task = self._bar.add_task(title, total=total, completed=self.committed, speed="")

    def __enter__(self) -> ShardProgress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def on_samples(self, count: int) -> None:
        """Add ``count`` computed samples; they are not yet on the disk."""
        self.computed = min(self.computed + count, self.total)  # a lost worker's samples are counted twice
        now = time.monotonic()
        self._since = self._since or (now, self.computed)
        if self._bar:
            self._bar.update(self._task, completed=self.computed, speed=self._speed())
        elif now - self._last_line > self._quiet:
            self._log(f"{self.computed} of {self.total} samples computed")

    def on_shard(self, number: int) -> None:
        """Count shard ``number`` as committed."""
        self.committed += self._shards[number]
        if self._on_commit:
            self._on_commit(self.committed, self._rate())
        if not self._bar:
            self._log(f"shard {number} committed, {self.committed} of {self.total} samples")

    def _log(self, text: str) -> None:
        speed = self._speed()
        self._last_line = time.monotonic()
        log.info("%s: %s%s", self.title, text, f", {speed}" if speed else "")

    def _speed(self) -> str:
        rate = self._rate()
        return "" if rate is None else f"{rate:.1f} samples/s"

    def _rate(self) -> float | None:
        if self._since is None or self.computed == self._since[1]:
            return None
        return (self.computed - self._since[1]) / (time.monotonic() - self._since[0])


class WorkerSpeeds:
    """Speed of each of many workers, logged at intervals; the slowest and the silent are named, to be looked at."""

    def __init__(self, title: str, *, quiet: float = 2 * QUIET_SECONDS) -> None:
        self._title = title
        self._quiet = quiet
        self._since = time.monotonic()
        self._first_seen: dict[str, float] = {}  # time of the first samples of each; silent workers are removed
        self._samples: Counter[str] = Counter()

    def on_samples(self, worker: str, count: int) -> None:
        """Add ``count`` samples that ``worker`` computed."""
        self._first_seen.setdefault(worker, time.monotonic())
        self._samples[worker] += count

    def say(self) -> None:
        """Log the speeds, if a line is due."""
        now = time.monotonic()
        seconds = now - self._since
        if seconds < self._quiet:
            return
        silent = sorted(worker for worker in self._first_seen if worker not in self._samples)
        # A worker that joined in the second half would be judged by a batch or two.
        spans = {
            worker: min(seconds, now - first) for worker, first in self._first_seen.items() if worker not in silent
        }
        rates = {worker: self._samples[worker] / span for worker, span in spans.items() if span >= seconds / 2}
        if len(rates) > 1:
            slowest, *_, fastest = sorted(rates, key=rates.__getitem__)
            line = "%s: %d workers at %.1f to %.1f samples/s, the slowest %s"
            log.info(line, self._title, len(spans), rates[slowest], rates[fastest], slowest)
        if silent:
            others = f" and {len(silent) - 1} others" if len(silent) > 1 else ""
            log.info("%s: nothing from worker %s%s for %.0f s", self._title, silent[0], others, seconds)
        self._first_seen = {worker: first for worker, first in self._first_seen.items() if worker not in silent}
        self._since, self._samples = now, Counter()
