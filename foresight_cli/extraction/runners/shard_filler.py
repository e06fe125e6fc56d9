"""Worker of an engine such as Ray Data, which calls it with one shard after another; the model is loaded once.

The engine calls from two threads, so that the next shard is read while the network runs on this one. The worker does
not depend on the engine: the caller also provides the connection to a ``Ledger``.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import traceback
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Protocol
from uuid import uuid4

from foresight_cli.errors import ForesightError
from foresight_cli.extraction.job import Job


class Telling(Protocol):
    """A ledger that may be on another machine; `begin` and `take` wait for its answer."""

    def tell(self, what: str, *values: Any) -> None:
        """Call the ledger's method ``what``, without waiting."""

    def ask(self, what: str, *values: Any) -> Any:
        """Call the ledger's method ``what``, and wait for its answer."""


@dataclass(frozen=True)
class Seat:
    """The share of a machine that a worker may use.

    Attributes:
        device: device of the network.
        threads: CPU threads of the network.
        sharing: number of workers that use the same memory.
        folder: folder in which the command was typed: relative paths start there, if the machine has it.
    """

    device: str
    threads: int
    sharing: int
    folder: str


class ShardFiller:
    """Worker that fills the shards that it is called with, one by one, in a separate thread."""

    def __init__(self, job: Job, seat: Seat, ledger: Telling) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:4]}"
        self._queue: Queue[tuple[int, Future[tuple[str, str]]]] = Queue()
        self._waiting: dict[int, Future[tuple[str, str]]] = {}
        self._fault: tuple[str, str] | None = None
        self._ledger = ledger
        ledger.tell("hello", self.name, socket.gethostname())
        if Path(seat.folder).is_dir():
            os.chdir(seat.folder)
        self._thread = threading.Thread(target=self._work, args=(job, seat), daemon=True)
        self._thread.start()

    def fill(self, number: int) -> tuple[str, str]:
        """Fill a shard: ``("done", "")``; for a user's error ``("failed", why)``, else ``("crashed", traceback)``."""
        done, why = self._ledger.ask("take", self.name, number)
        if done:  # given again because another shard of its block was lost
            return "done", ""
        if why:
            return "failed", _deadly(why)
        result: Future[tuple[str, str]] = Future()
        self._queue.put((number, result))
        while self._fault is None:
            try:
                return result.result(timeout=0.5)
            except TimeoutError:
                continue
        return self._fault

    def _work(self, job: Job, seat: Seat) -> None:
        try:
            self._fill(job, seat)
        except ForesightError as error:
            self._fault = "failed", str(error)
        except BaseException:
            self._fault = "crashed", traceback.format_exc()

    def _fill(self, job: Job, seat: Seat) -> None:
        import torch

        from foresight_cli.extraction.batching import BatchSize
        from foresight_cli.extraction.filling import fill
        from foresight_cli.machine.devices import usable_device
        from foresight_cli.models import open_model

        _refuse_another_disk(job)
        logging.getLogger().addHandler(_Telling(self._ledger))
        device = usable_device(seat.device)
        if device == "cpu":
            torch.set_num_threads(seat.threads)
        model = open_model(job.model)
        model.load(device)
        fill(
            job.entries,
            self._next,
            job.dataset,
            model,
            batch_size=BatchSize(job.batch_size, device, sharing=seat.sharing),
            skip_undecodable=job.skip_undecodable,
            on_begin=self._begin,
            on_samples=lambda count: self._ledger.tell("computed", self.name, count),
            on_shard=self._done,
        )

    def _next(self, wait: bool) -> int | None:
        try:
            number, result = self._queue.get(block=wait)
        except Empty:
            return None
        self._waiting[number] = result
        return number

    def _begin(self, number: int) -> None:
        if why := self._ledger.ask("begin", self.name, number):
            raise ForesightError(_deadly(why))

    def _done(self, number: int) -> None:
        self._ledger.tell("committed", self.name, number)
        self._waiting.pop(number).set_result(("done", ""))


def _deadly(shard: str) -> str:
    """Return the one-line message for a shard of which workers die."""
    return (
        f"workers died of {shard} again and again, perhaps out of memory. What is committed is kept: run the same "
        "command again, with a smaller batch_size or more runner.cpus_per_worker"
    )


class _Telling(logging.Handler):
    """Log handler that sends a worker's warnings to the user."""

    def __init__(self, ledger: Telling) -> None:
        super().__init__(logging.WARNING)
        self._ledger = ledger

    def emit(self, record: logging.LogRecord) -> None:
        self._ledger.tell("warn", record.levelno, record.getMessage())


def _refuse_another_disk(job: Job) -> None:
    """Refuse a cache that this machine does not see: it would fill a folder that no one else can see."""
    for entry in job.entries.values():
        if not (entry.path / "recipe.json").exists():
            raise ForesightError(
                f"{socket.gethostname()} does not see {entry.path}: workers on several machines need one cache. Give a "
                "folder that all of them share, or a store, such as cache_dir=s3://bucket/folder"
            )
