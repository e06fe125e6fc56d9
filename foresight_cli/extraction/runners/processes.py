"""Worker processes on this machine that share the shards of one job; the others take the shards of one that dies.

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
"""A shard of which this many workers died is not given to another."""


def fill_with_workers(job: Job, missing: Sequence[int], workers: int, progress: Progress) -> None:
    """Fill the shards ``missing`` in ``workers`` processes, as ``runner=local`` does."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    _start_server()
    crew: list[_Worker] = []
    try:
        with _held_back(signal.SIGINT):  # no worker must be left half started
            for rank in range(workers):
                crew.append(_Worker(context, job, rank, workers))
        _hand_out(list(missing), crew, progress)
    finally:
        for worker in crew:
            worker.stop()


def _start_server() -> None:
    """Start the process that forks the workers, with SIGINT blocked, which they inherit: their parent ends them."""
    resource_tracker.ensure_running()  # its start unblocks the signal, so it comes first
    with _held_back(signal.SIGINT):  # if it were ignored, a Ctrl-C at this moment would be lost to this process too
        forkserver.ensure_running()


@contextmanager
def _held_back(number: signal.Signals) -> Iterator[None]:
    """Deliver a signal that comes meanwhile afterwards; processes started meanwhile never get it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Worker:
    """The parent's view of one worker process."""

    def __init__(self, context: Any, job: Job, rank: int, workers: int) -> None:
        self.rank = rank
        self.in_hand: list[int] = []
        self.computing: int | None = None
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(job, rank, workers, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def stop(self) -> None:
        """End it now; its committed shards stay, and the shard that it is writing has no name yet."""
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
                kind, *what = connection.recv()
            except (EOFError, ConnectionError):
                del of[connection]
                idle = [other for other in idle if other is not worker]
                left[:0] = _bury(worker, deaths)
                continue
            if kind == "next":
                _give(worker, left)
            elif kind == "wait":
                idle.append(worker)
            elif kind == "samples":
                progress.on_samples(what[0])
            elif kind == "begun":
                worker.computing = what[0]
            elif kind == "done":
                worker.in_hand.remove(what[0])
                progress.on_shard(what[0])
            elif kind == "log":
                log.log(what[0], "%s", what[1])
            elif kind == "failed":
                raise what[0]
            elif kind == "crashed":
                raise RuntimeError(f"a worker failed:\n{what[0]}")
        while left and idle:  # shards that a dead worker left
            _give(idle.pop(0), left)
    if left:
        raise ForesightError(
            f"all {len(crew)} workers died with {len(left)} shards to do, perhaps out of memory. What is committed "
            "is kept: run the same command again, with a smaller runner.workers or batch_size"
        )


def _give(worker: _Worker, left: list[int]) -> None:
    """Send the next shard to a worker, or None if there is none left."""
    number = left.pop(0) if left else None
    with suppress(OSError):  # it has just died; the next read of its pipe shows it
        worker.connection.send(number)
    if number is not None:
        worker.in_hand.append(number)


def _bury(worker: _Worker, deaths: dict[int, int]) -> list[int]:
    """Return the shards that a dead worker leaves.

    Raises:
        ForesightError: the shard that it was computing has killed a worker before.
    """
    worker.process.join()
    status = worker.process.exitcode or 0
    how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    number = worker.computing
    if number in worker.in_hand:
        deaths[number] = deaths.get(number, 0) + 1
        if deaths[number] >= DEATHS:
            raise ForesightError(
                f"{DEATHS} workers died of shard {number} (the last: {how}), perhaps out of memory. What is "
                "committed is kept: run the same command again, with a smaller runner.workers or batch_size"
            )
    again = ", ".join(str(number) for number in worker.in_hand)
    noun = "shards" if len(worker.in_hand) > 1 else "shard"
    left = f": {noun} {again} to be done by another" if again else ""
    log.warning("worker %d died (%s)%s", worker.rank, how, left)
    numbers, worker.in_hand = worker.in_hand, []
    return numbers


class _Telling(logging.Handler):
    """Log handler that sends a worker's warnings to its parent, which has the terminal and the log file."""

    def __init__(self, tell: Callable[..., None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell("log", record.levelno, record.getMessage())


def _work(job: Job, rank: int, workers: int, connection: Connection) -> None:
    """Run a worker process: ask for a shard, fill it, report it, until no shard is left or the parent is gone."""
    from threading import Lock

    import torch

    from foresight_cli.extraction.batching import BatchSize
    from foresight_cli.extraction.filling import fill
    from foresight_cli.models import open_model

    lock = Lock()  # the thread that writes reports too

    def tell(*message: Any) -> None:
        with lock:
            connection.send(message)

    def next_shard(wait: bool) -> int | None:
        tell("next")
        number: int | None = connection.recv()
        if number is None and wait:  # the parent may still get one from a worker that dies
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
    """Return the device of a worker: ``cuda`` is spread over the GPUs, a device with a number is used as it is."""
    import torch

    return f"cuda:{rank % torch.cuda.device_count()}" if device == "cuda" else device
