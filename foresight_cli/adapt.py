"""``foresight adapt``: train a small adapter between two cached spaces, and score it once on held-out groups."""

from __future__ import annotations

import hashlib
import logging
import math
from contextlib import suppress
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from foresight_cli.adapters import check_push, push_adapter, save_adapter
from foresight_cli.adapters.budget import OverBudget
from foresight_cli.catalog.find import Found
from foresight_cli.config import AdaptConfig, QueryConfig, TrainedConfig
from foresight_cli.config.reader import adapt_config
from foresight_cli.errors import ForesightError, UsageError, first_line
from foresight_cli.evaluation.adapter_results import Scored, held_out_results
from foresight_cli.evaluation.noise_ceiling import noise_ceiling
from foresight_cli.evaluation.previews import best_median_worst, decodable, preview
from foresight_cli.inputs.adapter_split import split_rows
from foresight_cli.inputs.opening import Paired, open_pairs
from foresight_cli.latents.recipe import canonical_json
from foresight_cli.latents.storage.atomic import write_atomic
from foresight_cli.machine.devices import usable_device
from foresight_cli.reporting.adapter_summary import print_adapter
from foresight_cli.reporting.commands import after_adapt
from foresight_cli.reporting.model_card import render_model_card
from foresight_cli.reporting.sweep import REFUSED
from foresight_cli.results import AdapterResults, save_results
from foresight_cli.suggest.words import changed_line, words_of
from foresight_cli.trackers import Tracking, open_tracking, settings_of
from foresight_cli.training.checkpoint import Epoch, TrainingCheckpoint
from foresight_cli.training.closed_form import RidgeMap, TooLarge, ridge_map
from foresight_cli.training.fit import Fitted, Kind, Parts, fit_closed, fit_trained
from foresight_cli.training.live import LiveTraining
from foresight_cli.training.loop import Diverged
from foresight_cli.training.query_shape import query_shape

log = logging.getLogger(__name__)


def run(cfg: DictConfig, entries: Found | None = None) -> float:
    """Run the stage and return R2 on the validation groups, for a sweeper to maximise; NaN if the job is refused.

    Args:
        cfg: the settings.
        entries: the cache entries that they select, if these were looked up before.
    """
    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        config = adapt_config(cfg)
        with open_tracking(config.tracker, "adapt", folder, settings_of(config)) as tracking:
            results = adapt(config, folder, tracking, entries)
    except ForesightError as error:
        if HydraConfig.get().mode != RunMode.MULTIRUN:
            if isinstance(error, OverBudget):
                line = changed_line("adapt", HydraConfig.get().overrides.task, error.words)
                raise UsageError(f"{error}. Type: {line}") from None
            raise
        # A job over the budget, or one that diverges, does not stop the other jobs of the sweep.
        log.error("%s", error)
        write_atomic(folder / REFUSED, str(error).encode())
        return math.nan
    print_adapter(results, folder)
    if HydraConfig.get().mode != RunMode.MULTIRUN:
        log.info("Next: %s", after_adapt(results, words_of("adapt", HydraConfig.get().overrides.task)))
    return results.r2_validation.value


def adapt(config: AdaptConfig, folder: Path, tracking: Tracking, entries: Found | None = None) -> AdapterResults:
    """Train the adapter that ``config`` describes, save it in ``folder``, and return its held-out scores.

    ``tracking`` receives every epoch, the scores, the model card and the previews.

    Raises:
        ForesightError: nothing is cached for a side, there are too few groups to split, or training diverged.
        UsageError: the adapter is over the budget.
    """
    if config.push:
        check_push(config.push)
    shape = query_shape(config.adapter, config.source, config.target) if isinstance(config.adapter, QueryConfig) else {}
    paired = open_pairs(config, entries)
    kind = Kind(config.adapter, shape, usable_device(config.device))
    split = split_rows(paired.groups, config.split, config.seed)
    parts = split.parts(paired.pairs)
    log.info(
        "%d samples: %s left out, %s kept together, %d groups",
        *(getattr(paired.duplicates, name) for name in ("rows", "exact_words", "near_words", "groups")),
    )
    log.info("%s: %s%d parameters; %d training, %d validation and %d test rows", config.adapter.name,
             "" if kind.fixed else "at most ", kind.check(parts.train.dims),
             *(len(part) for part in (parts.train, parts.validation, parts.test)))  # fmt: skip
    ridge = _ridge(kind, parts, config.memory_gb)
    fitted, shuffled = _fit(config, kind, paired, parts, ridge, tracking)
    recipes = {"source": paired.source.recipe.to_dict(), "target": paired.target.recipe.to_dict()}
    scored = held_out_results(config, paired, split, parts, ridge, fitted, shuffled)
    tested = [paired.table.ids[i] for i in split.test.tolist()]
    adapter = scored.kept.adapter

    def save(results: AdapterResults, pictures: list[str]) -> None:
        card = render_model_card(adapter, recipes, results, repo_id=config.push, previews=pictures)
        save_adapter(adapter, folder, recipes, card=card)
        save_results(results, folder / "results.yaml")

    save(scored.results, [])  # saved first: the next steps run the target's network again, and may fail
    results = _with_ceiling(scored, config, paired, tested)
    pictures = _save_previews(scored, config, paired, tested, folder)
    save(results, pictures)
    _track(results, folder, pictures, tracking)
    if config.push:
        log.info("published: %s", push_adapter(folder, config.push))
    return results


def _ridge(kind: Kind, parts: Parts, memory_gb: float) -> RidgeMap | None:
    """Fit the ridge map: closed-form adapters need it, trained adapters are compared to it if it fits in memory.

    Raises:
        TooLarge: the ridge map of a closed-form adapter does not fit in ``memory_gb``.
    """
    try:
        return ridge_map(parts.train, memory_gb=memory_gb)
    except TooLarge as error:
        if not kind.trained:
            raise
        log.warning("no ridge baseline to compare with: %s", error)
        return None


def _with_ceiling(scored: Scored, config: AdaptConfig, paired: Paired, tested: list[str]) -> AdapterResults:
    """Add the target's noise ceiling to the results, if requested; raises like :func:`noise_ceiling`."""
    if config.noise_ceiling == "none":
        return scored.results
    if paired.dataset is None:
        raise ForesightError(f"noise_ceiling={config.noise_ceiling} needs the pictures, which are not available")
    ceiling = noise_ceiling(
        paired.target, tested, paired.dataset, scored.held.mean, config.noise_ceiling, config.device
    )
    return replace(scored.results, noise_ceiling=ceiling, noise_from=config.noise_ceiling)


def _save_previews(scored: Scored, config: AdaptConfig, paired: Paired, tested: list[str], folder: Path) -> list[str]:
    """Save pictures decoded from predicted latents and return their names; none if the target has no decoder."""
    if paired.dataset is None or not decodable(paired.target):
        return []
    rows, labels = best_median_worst(scored.fit.residual, scored.fit.total)
    ids = [tested[row] for row in rows]
    try:
        made = preview(paired.target, scored.predicted(rows), ids, labels, paired.dataset, config.device)
        if made is None:
            return []
        from foresight_cli.reporting.figures.previews import write_previews  # matplotlib is slow to import

        return [path.name for path in write_previews(made, folder)]
    except Exception as error:  # the adapter and its scores are kept even without previews
        log.warning("warning: figure previews could not be drawn: %s", first_line(error))
        return []


def _fit(
    config: AdaptConfig, kind: Kind, paired: Paired, parts: Parts, ridge: RidgeMap | None, tracking: Tracking
) -> tuple[list[Fitted], Fitted]:
    """Fit the adapter, once for each seed if it starts from random weights, and once on shuffled pairs."""
    order = torch.from_numpy(np.random.default_rng(config.seed).permutation(len(parts.train)))
    wrong = replace(parts, train=parts.train.mismatched(order))
    if not kind.trained:
        assert ridge is not None
        mismatched = ridge_map(wrong.train, memory_gb=config.memory_gb)
        return [fit_closed(kind, parts, ridge)], fit_closed(kind, wrong, mismatched)
    assert isinstance(config.adapter, TrainedConfig)
    unfinished = Path(config.unfinished_dir) / _run_key(config, kind, paired)
    with LiveTraining(config.adapter.epochs) as live:

        def trained(name: str, on: Parts, seed: int) -> Fitted:
            checkpoint = TrainingCheckpoint(unfinished / f"{name}.safetensors")
            if (saved := checkpoint.load()) is not None:
                log.info("resuming %s after epoch %d", name, len(saved.epochs))

            def on_epoch(epoch: Epoch) -> None:
                live.on_epoch(name, epoch)
                _track_epoch(name, epoch, tracking)

            try:
                return fit_trained(kind, on, seed=seed, checkpoint=checkpoint, on_epoch=on_epoch)
            except Diverged as error:
                raise _with_kept_weights(error, checkpoint) from None

        runs = [trained(f"seed-{seed}", parts, seed) for seed in range(config.seed, config.seed + config.seeds)]
        control = trained("shuffled", wrong, config.seed)
    for path in unfinished.glob("*.safetensors"):
        path.unlink()
    with suppress(OSError):  # not empty: another run uses it
        unfinished.rmdir()
    return runs, control


def _track_epoch(name: str, epoch: Epoch, tracking: Tracking) -> None:
    values = asdict(epoch)
    tracking.log(name, values, values.pop("number"), step_name="number")


def _track(results: AdapterResults, folder: Path, pictures: list[str], tracking: Tracking) -> None:
    """Send the scores on the test rows and the files of the run to the tracker."""
    for score in results.scores:
        name = "adapter" if score is results.scores[0] else score.name
        of_score = {"r2": score.r2.value, "cosine": score.cosine, "parameters": score.parameters}
        tracking.log(f"test {name}", of_score | {f"recall_at_{k}": value for k, value in score.recall.items()})
    tracking.log("validation", {"r2": results.r2_validation.value})
    for name in ("README.md", *pictures):
        tracking.file(folder / name)


def _with_kept_weights(error: Diverged, checkpoint: TrainingCheckpoint) -> Diverged:
    kept = f". The weights of epoch {error.best}, the best, are kept in {checkpoint.path}" if error.best else ""
    return Diverged(f"{error}{kept}", error.best)


def _run_key(config: AdaptConfig, kind: Kind, paired: Paired) -> str:
    """Hash everything that decides the weights: the same command resumes a stopped run, any other starts afresh."""
    deciding = {
        "adapter": asdict(config.adapter),
        "shape": kind.shape,
        "device": kind.device.partition(":")[0],
        "threads": torch.get_num_threads(),
        "split": list(config.split),
        "seed": config.seed,
        "ids": hashlib.sha256("\0".join(paired.table.ids).encode()).hexdigest(),
        "groups": hashlib.sha256("\0".join(paired.groups).encode()).hexdigest(),
        "keys": [paired.source.recipe.key, paired.target.recipe.key],
        "version": [version("foresight-latents"), version("torch")],
    }
    return hashlib.sha256(canonical_json(deciding)).hexdigest()[:16]
