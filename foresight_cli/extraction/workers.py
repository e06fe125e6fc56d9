"""Several processes on this machine that share the shards of one job; one that dies leaves its shards to the others.

Workers ask for one shard at a time. They are forked from a server process that has imported everything and touched no
device, so that starting one is quick and CUDA is safe.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from foresight_cli.errors import ForesightError
from foresight_cli.extraction.job import Job, Progress

log = logging.getLogger(__name__)

PRELOAD = ["foresight_cli.extraction.filling", "foresight_cli.models.checkpoint", "foresight_cli.models.network"]
DEATHS = 2
"""A shard that so many workers died of is not given to another."""


def fill_with_workers(job: Job, missing: Sequence[int], workers: int, progress: Progress) -> None:
    """Fill the shards ``missing`` in ``workers`` processes, as ``runner=local`` does."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    _start_server()
    crew: list[_Worker] = []
    try:
        with _held_back(signal.SIGINT):  # none is to be left half started
            for rank in range(workers):
                crew.append(_Worker(context, job, rank, workers))
        _hand_out(list(missing), crew, progress)
    finally:
        for worker in crew:
            worker.stop()


def _start_server() -> None:
    """Start the process that forks the workers, deaf to Ctrl-C, as they then are: their parent ends them."""
    resource_tracker.ensure_running()  # which unblocks the signal where it starts
    with _held_back(signal.SIGINT):  # ignored instead, one that comes just now would be lost to us too
        forkserver.ensure_running()


@contextmanager
def _held_back(number: signal.Signals) -> Iterator[None]:
    """A signal that comes meanwhile is delivered afterwards; processes that are started never get it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Worker:
    """One process, as its parent sees it."""

    def __init__(self, context: Any, job: Job, rank: int, workers: int) -> None:
        self.rank = rank
        self.in_hand: list[int] = []
        self.computing: int | None = None
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(job, rank, workers, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def stop(self) -> None:
        """End it now; what it has committed stays, and what it is writing has no name yet."""
        self.connection.close()
        self.process.terminate()
        self.process.join()


def _hand_out(left: list[int], crew: list[_Worker], progress: Progress) -> None:
    idle: list[_Worker] = []
    deaths: dict[int, int] = {}
    of = {worker.connection: worker for worker in crew}
    while of and (left or any(worker.in_hand for worker in of.values())):
        for connection in wait(list(of)):
            assert isinstance(connection, Connection)
            worker = of[connection]
            try:
                said, *what = connection.recv()
            except (EOFError, ConnectionError):
                del of[connection]
                idle = [other for other in idle if other is not worker]
                left[:0] = _bury(worker, deaths)
                continue
            if said == "next":
                _give(worker, left)
            elif said == "wait":
                idle.append(worker)
            elif said == "samples":
                progress.on_samples(what[0])
            elif said == "begun":
                worker.computing = what[0]
            elif said == "done":
                worker.in_hand.remove(what[0])
                progress.on_shard(what[0])
            elif said == "log":
                log.log(what[0], "%s", what[1])
            elif said == "failed":
                raise what[0]
            elif said == "crashed":
                raise RuntimeError(f"a worker failed:\n{what[0]}")
        while left and idle:  # what a dead worker left behind
            _give(idle.pop(0), left)
    if left:
        raise ForesightError(
            f"all {len(crew)} workers died with {len(left)} shards to do, maybe for want of memory. What is committed "
            "stays: run the same command again, with a smaller runner.workers or batch_size"
        )


def _give(worker: _Worker, left: list[int]) -> None:
    """The next shard, or None where there is none."""
    number = left.pop(0) if left else None
    with suppress(OSError):  # it has just died; its end of the pipe will say so
        worker.connection.send(number)
    if number is not None:
        worker.in_hand.append(number)


def _bury(worker: _Worker, deaths: dict[int, int]) -> list[int]:
    """The shards that a dead worker leaves behind.

    Raises:
        ForesightError: the one that it was computing has cost a worker before.
    """
    worker.process.join()
    status = worker.process.exitcode or 0
    how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    number = worker.computing
    if number in worker.in_hand:
        deaths[number] = deaths.get(number, 0) + 1
        if deaths[number] >= DEATHS:
            raise ForesightError(
                f"{DEATHS} workers died of shard {number} (the last: {how}), maybe for want of memory. What is "
                "committed stays: run the same command again, with a smaller runner.workers or batch_size"
            )
    again = ", ".join(str(number) for number in worker.in_hand)
    noun = "shards" if len(worker.in_hand) > 1 else "shard"
    left = f": {noun} {again} to be done by another" if again else ""
    log.warning("worker %d died (%s)%s", worker.rank, how, left)
    numbers, worker.in_hand = worker.in_hand, []
    return numbers


class _Telling(logging.Handler):
    """Sends a worker's warnings to its parent, which has the terminal and the log file."""

    def __init__(self, tell: Callable[..., None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell("log", record.levelno, record.getMessage())


def _work(job: Job, rank: int, workers: int, connection: Connection) -> None:
    """What a worker process does: ask for a shard, fill it, say so, until there are no more or nobody answers."""
    from threading import Lock

    import torch

    from foresight_cli.extraction.batching import BatchSize
    from foresight_cli.extraction.filling import fill
    from foresight_cli.models import open_model

    lock = Lock()  # a thread that writes tells of it too

    def tell(*message: Any) -> None:
        with lock:
            connection.send(message)

    def next_shard(wait: bool) -> int | None:
        tell("next")
        number: int | None = connection.recv()
        if number is None and wait:  # the parent may yet have one that another worker leaves behind
            tell("wait")
            number = connection.recv()
        return number

    logging.getLogger().handlers[:] = [_Telling(tell)]
    device = _device_of(job.device, rank)
    if device == "cpu":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        torch.set_num_threads(max(cores // workers, 1))
    try:
        model = open_model(job.model)
        model.load(device)
        fill(
            job.entries,
            next_shard,
            job.dataset,
            model,
            batch_size=BatchSize(job.batch_size, device, sharing=workers),
            skip_undecodable=job.skip_undecodable,
            on_begin=lambda number: tell("begun", number),
            on_samples=lambda count: tell("samples", count),
            on_shard=lambda number: tell("done", number),
        )
    except (EOFError, ConnectionError):
        return  # the parent is gone
    except ForesightError as error:
        tell("failed", error)
    except Exception:
        tell("crashed", traceback.format_exc())


def _device_of(device: str, rank: int) -> str:
    """``cuda`` is shared out over the GPUs; a device with a number is taken as it is."""
    import torch

    return f"cuda:{rank % torch.cuda.device_count()}" if device == "cuda" else device
