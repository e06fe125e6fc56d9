"""Worker processes on this machine that share the shards of one job; the others take the shards of one that dies.

They are forked from a server process that has imported everything and touched no device, so that starting one is quick
and CUDA is safe.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from threading import Lock
from typing import Any

from foresight_cli.cluster.ledger import DEATHS, Ledger
from foresight_cli.errors import ForesightError
from foresight_cli.extraction.job import Job, Progress
from foresight_cli.extraction.runners.worker import Seat, relay, work
from foresight_cli.machine.devices import usable_cores

PRELOAD = ["foresight_cli.extraction.filling", "foresight_cli.models.checkpoint", "foresight_cli.models.network"]
ADVICE = "a smaller runner.workers or batch_size"


def fill_with_workers(job: Job, missing: Sequence[int], workers: int, progress: Progress) -> None:
    """Fill the shards ``missing`` in ``workers`` processes, as ``runner=local`` does.

    Raises:
        ForesightError: a worker raised it, or too many workers died.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    _start_server()
    crew: list[_Worker] = []
    try:
        with _held_back(signal.SIGINT):  # no worker must be left half started
            for rank in range(workers):
                seat = Seat(_device_of(job.device, rank), max(usable_cores() // workers, 1), workers)
                crew.append(_Worker(context, job, str(rank), seat))
        _serve(Ledger(missing, deaths=min(DEATHS, workers), advice=ADVICE), crew, progress)
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

    def __init__(self, context: Any, job: Job, name: str, seat: Seat) -> None:
        self.name = name
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(job, name, seat, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def stop(self) -> None:
        """End it now; its committed shards stay, and the shard that it is writing has no name yet."""
        self.connection.close()
        self.process.terminate()
        self.process.join()

    def end(self) -> str:
        """Describe the end of the process, which has closed its connection."""
        self.process.join()
        status = self.process.exitcode or 0
        return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def _serve(ledger: Ledger, crew: Sequence[_Worker], progress: Progress) -> None:
    """Let workers call the ledger until every shard is committed."""
    alive = {worker.connection: worker for worker in crew}
    while not ledger.finished():
        if not alive:
            numbers = ", ".join(map(str, ledger.deadly()))
            held = f" while they held shards {numbers}" if numbers else ""
            raise ForesightError(
                f"all {len(crew)} workers died{held}, with {ledger.left()} shards to do, perhaps out of memory. What "
                f"is committed is kept: run the same command again, with {ADVICE}"
            )
        for connection in wait(list(alive)):
            assert isinstance(connection, Connection)
            try:
                method, values, answered = connection.recv()
                answer = getattr(ledger, method)(*values)
                if answered:
                    connection.send(answer)
            except (EOFError, OSError):
                worker = alive.pop(connection)
                ledger.died(worker.name, worker.end())
            relay(ledger.news(), progress)


def _work(job: Job, name: str, seat: Seat, connection: Connection) -> None:
    with suppress(_ParentGone):
        work(job, name, seat, _Pipe(connection))


class _ParentGone(BaseException):
    """The parent has died: the worker ends, after the shard that it is writing.

    No ``except Exception`` on the way may take it for a fault of a sample or of the job.
    """


class _Pipe:
    """Link of a worker process to the ledger of its parent."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = Lock()  # the thread that writes reports too
        self._untold: deque[tuple[str, tuple[Any, ...]]] = deque()
        self._gone = False

    def tell(self, method: str, *values: Any) -> None:
        """Call a method of the ledger; never wait for the lock, which an interrupted ``ask`` of this thread may hold.

        A ``__del__`` that logs interrupts it anywhere.
        """
        self._untold.append((method, values))
        self._tell_all()
        if self._gone and method == "computed":  # not where another thread would fail: a sample, or the next shard
            raise _ParentGone

    def ask(self, method: str, *values: Any) -> Any:
        try:
            with self._lock:
                self._send_untold()
                self._connection.send((method, values, True))
                answer = self._connection.recv()
        except (EOFError, OSError):
            raise _ParentGone from None
        self._tell_all()
        return answer

    def _tell_all(self) -> None:
        """Send what is untold; if the lock is taken, its holder calls this afterwards."""
        while self._untold and not self._gone and self._lock.acquire(blocking=False):
            try:
                self._send_untold()
            except OSError:
                self._gone = True
            finally:
                self._lock.release()

    def _send_untold(self) -> None:
        while self._untold:
            self._connection.send((*self._untold.popleft(), False))


def _device_of(device: str, rank: int) -> str:
    """Return the device of a worker: ``cuda`` is spread over the GPUs, a device with a number is used as it is."""
    import torch

    return f"cuda:{rank % torch.cuda.device_count()}" if device == "cuda" else device
