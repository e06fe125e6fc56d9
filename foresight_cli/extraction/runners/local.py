"""``runner=local``: fill the missing shards of cache entries, in this process or in several on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from foresight_cli.config import LocalConfig
from foresight_cli.extraction.batching import BatchSize
from foresight_cli.extraction.filling import fill
from foresight_cli.extraction.job import Job, Progress
from foresight_cli.extraction.together import Together
from foresight_cli.machine.devices import usable_device
from foresight_cli.models import LatentModel


def run(job: Job, model: LatentModel, config: LocalConfig, progress: Progress) -> str:
    """Fill the missing shards.

    Args:
        job: the entries to fill.
        model: the model of ``job``, not loaded; several workers load their own, and this one stays unloaded.
        config: settings of the runner.
        progress: called for every forward pass and every committed shard.

    Returns:
        The device that the network ran on, or would have.

    Raises:
        ForesightError: as :func:`fill` does, or the workers died.
    """
    job = replace(job, device=usable_device(job.device))
    missing = job.missing()
    if not missing:
        return job.device
    workers = min(config.workers, len(missing))
    if workers > 1:
        from foresight_cli.extraction.runners.processes import fill_with_workers

        fill_with_workers(job, missing, workers, progress)
        return job.device
    fill_here(job, model, missing, progress)
    return job.device


def fill_here(job: Job, model: LatentModel | Together, missing: Iterable[int], progress: Progress) -> None:
    """Fill the shards ``missing`` in this process; arguments and errors as for :func:`run`."""
    model.load(job.device)
    numbers = iter(missing)
    fill(
        job.entries,
        lambda wait: next(numbers, None),
        job.dataset,
        model,
        batch_size=BatchSize(job.batch_size, job.device),
        skip_undecodable=job.skip_undecodable,
        on_samples=progress.on_samples,
        on_shard=progress.on_shard,
    )
