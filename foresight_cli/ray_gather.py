"""What workers make of the pieces of a whole, merged on a Ray cluster: ``runner=ray`` of ``analyze``."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from foresight_cli.config import RayConfig
from foresight_cli.errors import ForesightError
from foresight_cli.extraction.ledger import DEATHS, Ledger
from foresight_cli.ray_cluster import PATIENCE, connected, no_room, on_this_node, pool

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
    """What ``work`` makes of all pieces, merged two by two on the cluster; a task that is lost runs again.

    Args:
        work: a function of a module, run on a worker; it tells of the samples it has seen.
        merge: of two results one; likewise.
        split: gives at most so many pieces.
        config: of the runner.
        on_samples: told of the samples that workers have seen.

    Raises:
        ForesightError: what ``work`` raised; no cluster answers, or no task finds a place on it.
    """
    with connected(config) as ray:
        crew = pool(ray, config, most=MOST_PIECES, device="cpu")
        pieces = split(crew.workers)
        log.info("Ray: %d %s on %s", len(pieces), "piece" if len(pieces) == 1 else "pieces", crew.about)
        ledger = ray.remote(Ledger).options(num_cpus=0, scheduling_strategy=on_this_node(ray)).remote()
        how = {"num_cpus": crew.cpus, "max_retries": DEATHS - 1, "num_returns": 2}
        piece, pair = ray.remote(_piece).options(**how), ray.remote(_pair).options(**how)
        here = max(int(crew.cpus), 1), os.getcwd(), ledger  # noqa: PTH109
        under_way = dict(piece.remote(work, one, *here) for one in pieces)  # what it says by itself, and its result
        done: list[Any] = []
        limit, started = time.monotonic() + config.wait, False
        while under_way:
            for said in ray.wait(list(under_way), timeout=1.0)[0]:
                done.append(under_way.pop(said))
                if why := _got(ray, said):
                    raise ForesightError(why)
            while len(done) > 1:  # results are large, and stay on the cluster
                said, result = pair.remote(merge, done.pop(), done.pop())
                under_way[said] = result
            news = _got(ray, ledger.news.remote(), timeout=PATIENCE)
            if seen := sum(what[2] for what in news if what[0] == "samples"):
                on_samples(seen)
            started = started or bool(news)
            if not started and time.monotonic() > limit:
                raise no_room(ray, crew, config)
        whole: R = _got(ray, done[0])
        return whole


def _got(ray: Any, reference: Any, **how: Any) -> Any:
    """What a task left, in one line where the task or the cluster is lost.

    Raises:
        ForesightError: workers died of it again and again, or the cluster no longer answers.
    """
    try:
        return ray.get(reference, **how)
    except ray.exceptions.RayTaskError:
        raise  # a fault of ours, with its traceback
    except ray.exceptions.RayError as error:
        raise ForesightError(
            f"the Ray cluster lost a part of the work ({type(error).__name__}), maybe for want of memory. Run the same "
            "command again, with a smaller runner.workers or without runner=ray"
        ) from None


def _piece(
    work: Callable[[T, Callable[[int], None]], R], piece: T, threads: int, folder: str, ledger: Any
) -> tuple[str, R | None]:
    """What went wrong, "" for nothing, and the result."""
    import ray
    import torch

    me = f"{socket.gethostname()}-{os.getpid()}"
    told = [ledger.hello.remote(me, socket.gethostname())]
    if Path(folder).is_dir():
        os.chdir(folder)
    torch.set_num_threads(threads)
    try:
        result = work(piece, lambda count: told.append(ledger.computed.remote(me, count)))
        with suppress(ray.exceptions.RayError):  # progress alone, which is not worth a result
            ray.get(told[-1], timeout=PATIENCE)  # in order: all of it has arrived before the piece is done
        return "", result
    except ForesightError as error:
        return str(error), None


def _pair(merge: Callable[[R, R], R], one: R, other: R) -> tuple[str, R]:
    return "", merge(one, other)
