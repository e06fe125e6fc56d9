"""Progress of extraction: a bar on a terminal, one log line a shard elsewhere."""

from __future__ import annotations

import logging
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

log = logging.getLogger(__name__)


class ShardProgress:
    """Counts rows as shards are committed; use as a context manager."""

    def __init__(self, title: str, rows: int) -> None:
        self.title = title
        self.rows = rows
        self.done = 0
        self._since: tuple[float, int] | None = None  # the first commit: what came before is reading the model
        console = Console(stderr=True)
        self._bar: Progress | None = None
        if console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, TextColumn("{task.fields[speed]}"), console=console, transient=True)
            self._task = self._bar.add_task(title, total=rows, speed="")

    def __enter__(self) -> ShardProgress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self, shard: int, rows: int) -> None:
        """Shard number ``shard`` with ``rows`` rows is committed."""
        self.done += rows
        now = time.monotonic()
        speed = f"{(self.done - self._since[1]) / (now - self._since[0]):.1f} samples/s" if self._since else ""
        self._since = self._since or (now, self.done)
        if self._bar:
            self._bar.update(self._task, completed=self.done, speed=speed)
        else:
            said = f", {speed}" if speed else ""
            log.info("%s: shard %d committed, %d of %d samples%s", self.title, shard, self.done, self.rows, said)
