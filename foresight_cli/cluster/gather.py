"""Map and merge on a Ray cluster: ``runner=ray`` of ``analyze``."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from foresight_cli.cluster.connection import PATIENCE, connected, no_room, on_this_node, pool
from foresight_cli.cluster.ledger import DEATHS, Ledger
from foresight_cli.config import RayConfig
from foresight_cli.errors import ForesightError

log = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")

MOST_PIECES = 1000


def gather(
    work: Callable[[T, Callable[[int], None]], R],
    merge: Callable[[R, R], R],
    split: Callable[[int], Sequence[T]],
    config: RayConfig,
    on_samples: Callable[[int], None],
) -> R:
    """Run ``work`` on all pieces and merge the results two by two on the cluster; a lost task runs again.

    Args:
        work: a function of a module, run on a worker; it calls its second argument with the samples it has seen.
        merge: a function of a module, run on a worker, that merges two results into one.
        split: returns at most the given number of pieces.
        config: settings of the runner.
        on_samples: called with the number of samples that workers have seen.

    Raises:
        ForesightError: ``work`` raised it; no cluster answers, or no task finds a place on it.
    """
    with connected(config) as ray:
        crew = pool(ray, config, most=MOST_PIECES, device="cpu")
        pieces = split(crew.workers)
        log.info("Ray: %d %s on %s", len(pieces), "piece" if len(pieces) == 1 else "pieces", crew.about)
        ledger = ray.remote(Ledger).options(num_cpus=0, scheduling_strategy=on_this_node(ray)).remote()
        how = {"num_cpus": crew.cpus, "max_retries": DEATHS - 1, "num_returns": 2}
        piece, pair = ray.remote(_piece).options(**how), ray.remote(_pair).options(**how)
        context = max(int(crew.cpus), 1), os.getcwd(), ledger  # noqa: PTH109
        under_way = dict(piece.remote(work, part, *context) for part in pieces)  # error reference, and its result
        done: list[Any] = []
        limit, started = time.monotonic() + config.wait, False
        while under_way:
            for error in ray.wait(list(under_way), timeout=1.0)[0]:
                done.append(under_way.pop(error))
                if message := _got(ray, error):
                    raise ForesightError(message)
            while len(done) > 1:  # results are large and stay on the cluster
                error, result = pair.remote(merge, done.pop(), done.pop())
                under_way[error] = result
            news = _got(ray, ledger.news.remote(), timeout=PATIENCE)
            if seen := news.samples.total():
                on_samples(seen)
            started = started or bool(news.started)
            if not started and time.monotonic() > limit:
                raise no_room(ray, crew, config)
        whole: R = _got(ray, done[0])
        return whole


def _got(ray: Any, reference: Any, **how: Any) -> Any:
    """Return the result of a task; if the task or the cluster is lost, the error is one line.

    Raises:
        ForesightError: workers died of the task again and again, or the cluster no longer answers.
    """
    try:
        return ray.get(reference, **how)
    except ray.exceptions.RayTaskError:
        raise  # a bug of foresight, with its traceback
    except ray.exceptions.RayError as error:
        raise ForesightError(
            f"the Ray cluster lost a part of the work ({type(error).__name__}), perhaps out of memory. Run the same "
            "command again, with a smaller runner.workers or without runner=ray"
        ) from None


def _piece(
    work: Callable[[T, Callable[[int], None]], R], piece: T, threads: int, folder: str, ledger: Any
) -> tuple[str, R | None]:
    """Return the error message ("" for none) and the result."""
    import ray
    import torch

    me = f"{socket.gethostname()}-{os.getpid()}"
    calls = [ledger.started.remote(me, me)]
    if Path(folder).is_dir():
        os.chdir(folder)
    torch.set_num_threads(threads)
    try:
        result = work(piece, lambda count: calls.append(ledger.computed.remote(me, count)))
        with suppress(ray.exceptions.RayError):  # only progress is lost, not the result
            ray.get(calls[-1], timeout=PATIENCE)  # calls arrive in order: all progress is in before the piece is done
        return "", result
    except ForesightError as error:
        return str(error), None


def _pair(merge: Callable[[R, R], R], first: R, second: R) -> tuple[str, R]:
    return "", merge(first, second)
