"""``runner=ray``: fill the missing shards of cache entries with a pool of actors on a Ray cluster.

Ray Data does the distributing: the numbers of missing shards go through an actor pool, an actor that dies is started
again, and what it held is given to another. Shards go from the actors straight to the cache, never through Ray.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from foresight_cli.config import RayConfig
from foresight_cli.errors import ForesightError
from foresight_cli.extraction.job import Job, Progress
from foresight_cli.extraction.ledger import DEATHS, Ledger
from foresight_cli.extraction.shard_filler import Seat, ShardFiller
from foresight_cli.latents.remote import is_remote
from foresight_cli.ray_cluster import Pool, connected, no_room, pool

log = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")

BLOCKS = 2000
"""The shards go out in so many blocks at most; Ray keeps a record of each."""
MOST_PIECES = 1000
PATIENCE = 60.0
"""Seconds in which the ledger must answer."""


def run(job: Job, config: RayConfig, progress: Progress) -> str:
    """Fill what is missing.

    Args:
        job: what to fill.
        config: of the runner.
        progress: told of every forward pass and every committed shard.

    Returns:
        The kind of device that the networks ran on.

    Raises:
        ForesightError: as ``runner=local`` does; no cluster answers, or no worker finds a place on it.
    """
    missing = job.missing()
    if not missing:
        return job.device
    for entry in job.entries.values():
        if is_remote(entry.path) and entry.path.protocol == "memory":  # type: ignore[attr-defined]
            raise ForesightError(
                "cache_dir=memory:// is seen by one process alone: runner=ray needs a folder or a store"
            )
    with connected(config) as ray:
        crew = pool(ray, config, most=len(missing), device=job.device)
        log.info("Ray: %d %s on %s", crew.workers, "worker" if crew.workers == 1 else "workers", crew.about)
        if 0 < crew.fit < crew.workers:
            log.warning("warning: %d of %d workers fit on the cluster as it stands", crew.fit, crew.workers)
        return _Run(ray, config, crew, progress).fill(job, missing)


class _Run:
    """One job on a connected cluster."""

    def __init__(self, ray: Any, config: RayConfig, crew: Pool, progress: Progress) -> None:
        here = _here(ray)
        self._ray, self._config, self._crew, self._progress = ray, config, crew, progress
        self._ledger = ray.remote(Ledger).options(num_cpus=0, scheduling_strategy=here).remote()
        # Not in this process: Ray Data cannot be called from outside a cluster, nor stopped from outside its thread.
        self._stream = ray.remote(_stream).options(num_cpus=0, scheduling_strategy=here)
        self._hosts: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def fill(self, job: Job, missing: Sequence[int]) -> str:
        """See :func:`run`."""
        crew = self._crew
        device = "cuda" if crew.gpus else "cpu"
        sharing = round(1 / crew.gpus) if 0 < crew.gpus < 1 else 1 if crew.gpus else crew.most_on_one_node
        seat = Seat(device, max(int(crew.cpus), 1), max(sharing, 1), os.getcwd())  # noqa: PTH109
        streaming = self._stream.remote(self._ledger, job, seat, crew, list(missing))
        limit, over = time.monotonic() + self._config.wait, False
        while not over:
            over = bool(self._ray.wait([streaming], timeout=0.3)[0])
            self._listen()
            if not over and not self._hosts and time.monotonic() > limit:
                raise no_room(self._ray, crew, self._config)
        self._ray.get(streaming)  # raises what went wrong with it
        if gone := job.missing():
            raise RuntimeError(f"Ray left {len(gone)} shards out, for instance {gone[0]}")
        for worker, count in sorted(self._counts.items()):
            log.info("Ray: worker %s filled %d %s", worker, count, "shard" if count == 1 else "shards")
        return device

    def _listen(self) -> None:
        """Pass on what the workers have told the ledger."""
        try:
            news = self._ray.get(self._ledger.news.remote(), timeout=PATIENCE)
        except Exception as error:
            raise ForesightError(
                f"the Ray cluster no longer answers ({type(error).__name__}). What is committed stays: run the same "
                "command again to go on"
            ) from None
        if computed := sum(what[0] for said, *what in news if said == "samples"):
            self._progress.on_samples(computed)  # at once: told one by one in no time, they would make no speed
        for said, *what in news:
            if said == "hello":
                self._hosts[what[0]] = what[1]
            elif said == "shard":
                self._counts[what[0]] = self._counts.get(what[0], 0) + 1
                self._progress.on_shard(what[1])
            elif said == "log":
                log.log(what[0], "%s", what[1])
            elif said == "failed":
                raise ForesightError(what[0])
            elif said == "crashed":
                raise RuntimeError(f"a worker failed:\n{what[0]}")


def _stream(ledger: Any, job: Job, seat: Seat, crew: Pool, missing: Sequence[int]) -> None:
    """Have Ray Data fill the shards, and tell the ledger what went wrong with one; a task of the cluster."""
    try:
        import ray.data
        from ray.data import ActorPoolStrategy, DataContext

        DataContext.get_current().enable_progress_bars = False
        shards = ray.data.from_items(list(missing), override_num_blocks=min(len(missing), BLOCKS))
        filled = shards.map_batches(
            _Actor,
            fn_constructor_args=(job, seat, ledger),
            batch_size=1,
            num_cpus=crew.cpus,
            num_gpus=crew.gpus,
            compute=ActorPoolStrategy(
                min_size=max(crew.fit, 1),
                max_size=crew.workers,
                max_tasks_in_flight_per_actor=2,
                max_concurrent_calls_per_actor=2,
                enable_true_multi_threading=True,
            ),
        )
        for answer in filled.iter_rows():
            if answer["said"] != "done":
                ray.get(ledger.answer.remote(answer["said"], answer["why"]), timeout=PATIENCE)
                return
    except Exception:
        ray.get(ledger.answer.remote("crashed", traceback.format_exc()), timeout=PATIENCE)


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
        ledger = ray.remote(Ledger).options(num_cpus=0, scheduling_strategy=_here(ray)).remote()
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
            if seen := sum(what[1] for what in news if what[0] == "samples"):
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


def _here(ray: Any) -> Any:
    """On this node: it lives as long as the run. Not soft: Ray puts actors that take no CPU anywhere then."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


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


class _Actor:
    """A ``ShardFiller`` as Ray Data calls it: with batches of one number, from two threads."""

    def __init__(self, job: Job, seat: Seat, ledger: Any) -> None:
        self._filler = ShardFiller(job, seat, _RemoteLedger(ledger))

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        number = int(batch["item"][0])
        said, why = self._filler.fill(number)
        return {"shard": [number], "said": [said], "why": [why]}


class _RemoteLedger:
    """The ledger's actor, from a worker."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def tell(self, what: str, *values: Any) -> None:
        getattr(self._handle, what).remote(*values)

    def ask(self, what: str, *values: Any) -> Any:
        import ray

        return ray.get(getattr(self._handle, what).remote(*values), timeout=PATIENCE)
