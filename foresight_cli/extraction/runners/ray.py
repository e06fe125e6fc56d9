"""``runner=ray``: fill the missing shards of cache entries with a pool of actors on a Ray cluster.

Ray Data distributes the work: the numbers of missing shards go through an actor pool, an actor that dies is started
again, and its shards are given to another. Actors write shards straight to the cache, never through Ray.
"""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Sequence
from typing import Any

from foresight_cli.cluster.connection import PATIENCE, Pool, connected, no_room, on_this_node, pool
from foresight_cli.cluster.ledger import Ledger
from foresight_cli.config import RayConfig
from foresight_cli.errors import ForesightError
from foresight_cli.extraction.job import Job, Progress
from foresight_cli.extraction.runners.shard_filler import Seat, ShardFiller
from foresight_cli.latents.storage.remote import is_remote
from foresight_cli.machine.progress import WorkerSpeeds
from foresight_cli.models import LatentModel

log = logging.getLogger(__name__)

BLOCKS = 2000
"""Largest number of blocks of shards; Ray keeps a record of each."""


def run(job: Job, model: LatentModel, config: RayConfig, progress: Progress) -> str:
    """Fill the missing shards.

    Args:
        job: the entries to fill.
        model: the model of ``job``, which each worker opens for itself.
        config: settings of the runner.
        progress: called for every forward pass and every committed shard.

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
                "cache_dir=memory:// is visible to only one process: runner=ray needs a folder or a store"
            )
    with connected(config) as ray:
        crew = pool(ray, config, most=len(missing), device=job.device)
        log.info("Ray: %d %s on %s", crew.workers, "worker" if crew.workers == 1 else "workers", crew.about)
        if 0 < crew.fit < crew.workers:
            log.warning("warning: %d of %d workers fit on the cluster now", crew.fit, crew.workers)
        return _Run(ray, config, crew, progress).fill(job, missing)


class _Run:
    """One job on a connected cluster."""

    def __init__(self, ray: Any, config: RayConfig, crew: Pool, progress: Progress) -> None:
        strategy = on_this_node(ray)
        self._ray, self._config, self._crew, self._progress = ray, config, crew, progress
        self._ledger = ray.remote(Ledger).options(num_cpus=0, scheduling_strategy=strategy).remote()
        # In a task: Ray Data cannot be called from outside a cluster, nor stopped from outside its thread.
        self._stream = ray.remote(_stream).options(num_cpus=0, scheduling_strategy=strategy)
        self._hosts: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._speeds = WorkerSpeeds("Ray")

    def fill(self, job: Job, missing: Sequence[int]) -> str:
        """Fill the shards ``missing`` of ``job``, see :func:`run`."""
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
        self._ray.get(streaming)  # raises its exception, if it failed
        if left := job.missing():
            raise RuntimeError(f"Ray left {len(left)} shards out, for instance {left[0]}")
        for worker, count in sorted(self._counts.items()):
            log.info("Ray: worker %s filled %d %s", worker, count, "shard" if count == 1 else "shards")
        return device

    def _listen(self) -> None:
        """Pass on what the workers have reported to the ledger."""
        try:
            news = self._ray.get(self._ledger.news.remote(), timeout=PATIENCE)
        except Exception as error:
            raise ForesightError(
                f"the Ray cluster no longer answers ({type(error).__name__}). What is committed is kept: run the "
                "same command again to resume"
            ) from None
        if computed := sum(what[1] for kind, *what in news if kind == "samples"):
            self._progress.on_samples(computed)  # in one call, else the rate is meaningless
        for kind, *what in news:
            if kind == "samples":
                self._speeds.on_samples(*what)
            elif kind == "hello":
                self._hosts[what[0]] = what[1]
            elif kind == "shard":
                self._counts[what[0]] = self._counts.get(what[0], 0) + 1
                self._progress.on_shard(what[1])
            elif kind == "log":
                log.log(what[0], "%s", what[1])
            elif kind == "failed":
                raise ForesightError(what[0])
            elif kind == "crashed":
                raise RuntimeError(f"a worker failed:\n{what[0]}")
        self._speeds.say()


def _stream(ledger: Any, job: Job, seat: Seat, crew: Pool, missing: Sequence[int]) -> None:
    """Let Ray Data fill the shards, and report the first failure to the ledger; this is a task of the cluster."""
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
            if answer["outcome"] != "done":
                ray.get(ledger.answer.remote(answer["outcome"], answer["why"]), timeout=PATIENCE)
                return
    except Exception:
        ray.get(ledger.answer.remote("crashed", traceback.format_exc()), timeout=PATIENCE)


class _Actor:
    """A ``ShardFiller`` for Ray Data, which calls it with batches of one number, from two threads."""

    def __init__(self, job: Job, seat: Seat, ledger: Any) -> None:
        self._filler = ShardFiller(job, seat, _RemoteLedger(ledger))

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        number = int(batch["item"][0])
        outcome, why = self._filler.fill(number)
        return {"shard": [number], "outcome": [outcome], "why": [why]}


class _RemoteLedger:
    """Handle of a worker on the ledger's actor."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def tell(self, what: str, *values: Any) -> None:
        getattr(self._handle, what).remote(*values)

    def ask(self, what: str, *values: Any) -> Any:
        import ray

        return ray.get(getattr(self._handle, what).remote(*values), timeout=PATIENCE)
