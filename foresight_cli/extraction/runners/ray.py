"""``runner=ray``: fill the missing shards of cache entries with workers on a Ray cluster.

A worker that dies is replaced by a new one. Workers write shards straight to the cache, never through Ray.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from foresight_cli.cluster.connection import PATIENCE, Pool, connected, no_room, on_this_node, pool
from foresight_cli.cluster.ledger import Ledger, News
from foresight_cli.config import RayConfig
from foresight_cli.errors import ForesightError
from foresight_cli.extraction.job import Job, Progress
from foresight_cli.extraction.runners.worker import Seat, relay, work
from foresight_cli.latents.storage.remote import is_remote
from foresight_cli.machine.progress import WorkerSpeeds
from foresight_cli.models import LatentModel

log = logging.getLogger(__name__)

ADVICE = "a smaller batch_size or more runner.cpus_per_worker"


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
        self._ray, self._config, self._crew, self._progress = ray, config, crew, progress
        self._running: dict[Any, tuple[str, Any]] = {}  # name and actor of each worker, by the reference of its work
        self._started = 0
        self._counts: Counter[str] = Counter()
        self._speeds = WorkerSpeeds("Ray")

    def fill(self, job: Job, missing: Sequence[int]) -> str:
        """Fill the shards ``missing`` of ``job``, see :func:`run`."""
        ray, crew = self._ray, self._crew
        device = "cuda" if crew.gpus else "cpu"
        sharing = round(1 / crew.gpus) if 0 < crew.gpus < 1 else 1 if crew.gpus else crew.most_on_one_node
        seat = Seat(device, max(int(crew.cpus), 1), max(sharing, 1), os.getcwd())  # noqa: PTH109
        ledger = ray.remote(Ledger).options(num_cpus=0, scheduling_strategy=on_this_node(ray))
        self._ledger = ledger.remote(missing, advice=ADVICE)
        self._task = ray.put(job), seat
        for _ in range(crew.workers):
            self._start()
        died, started = True, False
        while not (news := self._news()).finished:
            started = started or bool(news.started)
            if died:  # a worker that died had found a place: the next one may look for one as long
                limit = time.monotonic() + self._config.wait
            if not started and time.monotonic() > limit:
                raise no_room(ray, crew, self._config)
            died = self._replace_the_dead()
        for worker, count in sorted(self._counts.items()):
            log.info("Ray: worker %s filled %d %s", worker, count, "shard" if count == 1 else "shards")
        return device

    def _start(self) -> None:
        """Start a worker as soon as the cluster has room for it."""
        actor = self._ray.remote(_Actor).options(num_cpus=self._crew.cpus, num_gpus=self._crew.gpus).remote()
        worker = str(self._started)
        self._started += 1
        self._running[actor.work.remote(*self._task, worker, self._ledger)] = worker, actor

    def _replace_the_dead(self) -> bool:
        """Wait a moment for workers to end; start another for each that died. Return whether one did."""
        died = False
        for reference in self._ray.wait(list(self._running), timeout=0.3)[0]:
            worker, actor = self._running.pop(reference)
            try:
                self._ray.get(reference)
            except self._ray.exceptions.RayTaskError:
                raise  # a bug of foresight, with its traceback
            except self._ray.exceptions.RayError as error:
                if getattr(error, "actor_init_failed", False):  # it would fail again, for instance without foresight
                    raise RuntimeError(f"a worker failed:\n{error}") from None
                with suppress(Exception):  # it may only be out of reach
                    self._ray.kill(actor)
                self._answer(self._ledger.died.remote(worker, type(error).__name__))
                self._start()
                died = True
        return died

    def _news(self) -> News:
        """Return what the workers have reported to the ledger, after showing it."""
        news: News = self._answer(self._ledger.news.remote())
        for worker, count in news.samples.items():
            self._speeds.on_samples(worker, count)
        self._counts.update(worker for worker, _ in news.committed)
        relay(news, self._progress)
        self._speeds.say()
        return news

    def _answer(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference, timeout=PATIENCE)
        except Exception as error:
            raise ForesightError(
                f"the Ray cluster no longer answers ({type(error).__name__}). What is committed is kept: run the "
                "same command again to resume"
            ) from None


class _Actor:
    """A worker in a process of the cluster."""

    def work(self, job: Job, seat: Seat, worker: str, ledger: Any) -> None:
        """Fill shards, see :func:`work`."""
        link = _RemoteLedger(ledger)
        link.tell("started", worker, f"{socket.gethostname()}-{os.getpid()}")
        work(job, worker, seat, link)


class _RemoteLedger:
    """Link of a worker to the ledger's actor."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def tell(self, method: str, *values: Any) -> None:
        getattr(self._handle, method).remote(*values)

    def ask(self, method: str, *values: Any) -> Any:
        import ray

        return ray.get(getattr(self._handle, method).remote(*values), timeout=PATIENCE)
