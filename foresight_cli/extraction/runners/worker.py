"""A worker: a process, on this machine or another, that takes shards from a ledger and fills them, one by one.

Every runner with several processes starts this worker, and only connects it to the ledger in its own way.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from foresight_cli.cluster.ledger import News
from foresight_cli.errors import ForesightError
from foresight_cli.extraction.job import Job, Progress

log = logging.getLogger(__name__)

POLL = 0.2
"""Seconds until a worker without work asks again: a shard comes back if another worker dies."""


class Link(Protocol):
    """Connection of a worker to the ``Ledger`` of its job, in another process."""

    def tell(self, method: str, *values: Any) -> None:
        """Call a method of the ledger, without waiting."""

    def ask(self, method: str, *values: Any) -> Any:
        """Call a method of the ledger, and return its answer."""


@dataclass(frozen=True)
class Seat:
    """The share of a machine that a worker may use.

    Attributes:
        device: device of the network.
        threads: CPU threads of a network on the CPU.
        sharing: number of workers that use the same memory.
        folder: for a worker on any machine, the folder in which the command was typed: relative paths start there.
    """

    device: str
    threads: int
    sharing: int
    folder: str | None = None


def work(job: Job, worker: str, seat: Seat, link: Link) -> None:
    """Fill shards until all are committed; an error is reported to the ledger, whose owner ends the job."""
    try:
        _Worker(job, worker, link).work(seat)
    except ForesightError as error:
        link.ask("failed", error)
    except Exception:
        link.ask("failed", RuntimeError(f"a worker failed:\n{traceback.format_exc()}"))


class _Worker:
    def __init__(self, job: Job, worker: str, link: Link) -> None:
        self._job, self._worker, self._link = job, worker, link
        self._first: int | None = None

    def work(self, seat: Seat) -> None:
        """Load the model and fill shards; the first is taken before, so that a death while loading counts."""
        logging.getLogger().addHandler(_Telling(self._link))
        if seat.folder is not None:
            _enter(seat.folder, self._job)
        self._first = self._next(wait=True)
        if self._first is None:
            return

        import torch

        from foresight_cli.extraction.batching import BatchSize
        from foresight_cli.extraction.filling import fill
        from foresight_cli.machine.devices import usable_device
        from foresight_cli.models import open_model

        device = usable_device(seat.device)
        if device == "cpu":
            torch.set_num_threads(seat.threads)
        model = open_model(self._job.model)
        model.load(device)
        fill(
            self._job.entries,
            self._next,
            self._job.dataset,
            model,
            batch_size=BatchSize(self._job.batch_size, device, sharing=seat.sharing),
            skip_undecodable=self._job.skip_undecodable,
            on_begin=lambda number: self._link.ask("begin", self._worker, number),
            on_samples=lambda count: self._link.tell("computed", self._worker, count),
            on_shard=lambda number: self._link.tell("committed", self._worker, number),
        )

    def _next(self, wait: bool) -> int | None:
        if self._first is not None:
            number, self._first = self._first, None
            return number
        while True:
            taken: int | None = self._link.ask("take", self._worker)
            if taken is not None or not wait or self._link.ask("finished"):
                return taken
            time.sleep(POLL)


class _Telling(logging.Handler):
    """Log handler that sends a worker's warnings to the ledger, whose owner has the terminal and the log file."""

    def __init__(self, link: Link) -> None:
        super().__init__(logging.WARNING)
        self._link = link

    def emit(self, record: logging.LogRecord) -> None:
        self._link.tell("warn", record.levelno, record.getMessage())


def _enter(folder: str, job: Job) -> None:
    """Go to ``folder`` if this machine has it.

    Raises:
        ForesightError: this machine does not see the cache: it would fill a folder that no one else can see.
    """
    if Path(folder).is_dir():
        os.chdir(folder)
    for entry in job.entries.values():
        if not (entry.path / "recipe.json").exists():
            raise ForesightError(
                f"{socket.gethostname()} does not see {entry.path}: workers on several machines need one cache. Give a "
                "folder that all of them share, or a store, such as cache_dir=s3://bucket/folder"
            )


def relay(news: News, progress: Progress) -> None:
    """Show the user what workers have reported.

    Raises:
        Exception: the failure of a worker, or the error about a shard of which too many workers died.
    """
    if computed := news.samples.total():
        progress.on_samples(computed)  # in one call, else the rate is meaningless
    for _, number in news.committed:
        progress.on_shard(number)
    for level, message in news.messages:
        log.log(level, "%s", message)
    if news.failure is not None:
        raise news.failure
