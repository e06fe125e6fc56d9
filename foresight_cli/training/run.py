"""One run of ``foresight adapt``: the adapter fitted for each seed, a control on shuffled pairs, and the ridge map."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from foresight_cli.config import AdaptConfig, QueryConfig, TrainedConfig
from foresight_cli.latents.recipe import canonical_json
from foresight_cli.latents.storage.atomic import writer_is_gone
from foresight_cli.machine.devices import usable_device
from foresight_cli.trackers import Tracking
from foresight_cli.training.checkpoint import Epoch, TrainingCheckpoint
from foresight_cli.training.closed_form import RidgeMap, TooLarge, ridge_map
from foresight_cli.training.fit import Fitted, Kind, Parts, fit_closed, fit_trained
from foresight_cli.training.live import LiveTraining
from foresight_cli.training.loop import Diverged
from foresight_cli.training.query_shape import query_shape

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FittedRuns:
    """The fitted adapters of a run.

    Attributes:
        ridge: the ridge map of the training pairs; None if it is too large.
        seeds: the adapter, once for each seed; once if it has a closed form.
        shuffled: the same kind of adapter, fitted on shuffled pairs.
    """

    ridge: RidgeMap | None
    seeds: list[Fitted]
    shuffled: Fitted


def kind_of(config: AdaptConfig) -> Kind:
    """Return the kind of adapter that ``config`` describes; raises as `query_shape` does."""
    shape = query_shape(config.adapter, config.source, config.target) if isinstance(config.adapter, QueryConfig) else {}
    return Kind(config.adapter, shape, usable_device(config.device))


def fit_runs(
    config: AdaptConfig, kind: Kind, parts: Parts, identity: Mapping[str, object], tracking: Tracking
) -> FittedRuns:
    """Fit the adapter, once for each seed if it starts from random weights, and once on shuffled pairs.

    Args:
        config: seeds, memory, and the folder of unfinished runs.
        kind: the kind of adapter.
        parts: training, validation and test pairs.
        identity: all that determines the pairs. The same command resumes a stopped run, any other starts afresh.
        tracking: receives every epoch.

    Raises:
        TooLarge: the ridge map of a closed-form adapter does not fit in ``memory_gb``.
        Diverged: the loss is not finite any more.
    """
    ridge = _ridge(kind, parts, config.memory_gb)
    order = torch.from_numpy(np.random.default_rng(config.seed).permutation(len(parts.train)))
    wrong = replace(parts, train=parts.train.mismatched(order))
    if not kind.trained:
        assert ridge is not None
        mismatched = ridge_map(wrong.train, memory_gb=config.memory_gb)
        return FittedRuns(ridge, [fit_closed(kind, parts, ridge)], fit_closed(kind, wrong, mismatched))
    assert isinstance(config.adapter, TrainedConfig)
    unfinished = Path(config.unfinished_dir) / _run_key(config, kind, identity)
    with LiveTraining(config.adapter.epochs) as live:

        def report(name: str, epoch: Epoch) -> None:
            live.on_epoch(name, epoch)
            values = asdict(epoch)
            tracking.log(name, values, values.pop("number"), step_name="number")

        seeds = [
            _trained(f"seed-{seed}", kind, parts, seed, unfinished, report)
            for seed in range(config.seed, config.seed + config.seeds)
        ]
        shuffled = _trained("shuffled", kind, wrong, config.seed, unfinished, report)
    _clear(unfinished)
    return FittedRuns(ridge, seeds, shuffled)


def _clear(unfinished: Path) -> None:
    """Delete the checkpoints of a finished run, and what a killed one was writing."""
    for path in unfinished.glob("*.safetensors"):
        path.unlink()
    for path in unfinished.glob(".tmp-*"):
        if writer_is_gone(path.name, path.stat().st_mtime):
            path.unlink()
    with suppress(OSError):  # not empty: another run uses it
        unfinished.rmdir()


def _ridge(kind: Kind, parts: Parts, memory_gb: float) -> RidgeMap | None:
    """Fit the ridge map: closed-form adapters need it, trained adapters are compared to it if it fits in memory."""
    try:
        return ridge_map(parts.train, memory_gb=memory_gb)
    except TooLarge as error:
        if not kind.trained:
            raise
        log.warning("no ridge baseline to compare with: %s", error)
        return None


def _run_key(config: AdaptConfig, kind: Kind, identity: Mapping[str, object]) -> str:
    """Hash everything that decides the weights."""
    deciding = {
        "adapter": asdict(config.adapter),
        "shape": kind.shape,
        "device": kind.device.partition(":")[0],
        "threads": torch.get_num_threads(),
        "split": list(config.split),
        "seed": config.seed,
        "version": [version("foresight-latents"), version("torch")],
        **identity,
    }
    return hashlib.sha256(canonical_json(deciding)).hexdigest()[:16]


def _trained(
    name: str, kind: Kind, parts: Parts, seed: int, unfinished: Path, report: Callable[[str, Epoch], None]
) -> Fitted:
    """Train from the checkpoint ``name`` in the folder ``unfinished``, or from the start if there is none."""
    checkpoint = TrainingCheckpoint(unfinished / f"{name}.safetensors")
    if (saved := checkpoint.load()) is not None:
        log.info("resuming %s after epoch %d", name, len(saved.epochs))
    try:
        return fit_trained(kind, parts, seed=seed, checkpoint=checkpoint, on_epoch=partial(report, name))
    except Diverged as error:
        kept = f". The weights of epoch {error.best}, the best, are kept in {checkpoint.path}" if error.best else ""
        raise Diverged(f"{error}{kept}", error.best) from None
