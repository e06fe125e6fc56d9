"""``runner=local``: fill the missing shards of cache entries, in this process or in several on this machine."""

from __future__ import annotations

from collections import deque

from foresight_cli.extraction.batching import BatchSize
from foresight_cli.extraction.filling import fill
from foresight_cli.extraction.job import Job, Progress
from foresight_cli.models import LatentModel


def run(job: Job, model: LatentModel, workers: int, progress: Progress) -> None:
    """Fill what is missing.

    Args:
        job: what to fill.
        model: of ``job``, not loaded; with several workers it stays so, since each reads its own.
        workers: processes.
        progress: told of every forward pass and every committed shard.

    Raises:
        ForesightError: as :func:`fill` does, or the workers died.
    """
    missing = job.missing()
    if not missing:
        return
    workers = min(workers, len(missing))
    if workers > 1:
        from foresight_cli.extraction.workers import fill_with_workers

        fill_with_workers(job, missing, workers, progress)
        return
    model.load(job.device)
    left = deque(missing)
    fill(
        job.entries,
        lambda wait: left.popleft() if left else None,
        job.dataset,
        model,
        batch_size=BatchSize(job.batch_size, job.device),
        skip_undecodable=job.skip_undecodable,
        on_samples=progress.on_samples,
        on_shard=progress.on_shard,
    )
