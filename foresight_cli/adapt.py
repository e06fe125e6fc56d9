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

from foresight_cli.adapter_report import Scored, held_out_results, print_adapter
from foresight_cli.adapters import check_push, push_adapter, save_adapter
from foresight_cli.catalog import Found
from foresight_cli.config import AdaptConfig, QueryConfig, TrainedConfig
from foresight_cli.config_reader import adapt_config
from foresight_cli.devices import usable_device
from foresight_cli.errors import ForesightError
from foresight_cli.latents.atomic import write_atomic
from foresight_cli.latents.recipe import canonical_json
from foresight_cli.noise_ceiling import noise_ceiling
from foresight_cli.paired import Paired, open_pairs, split_rows
from foresight_cli.previews import best_median_worst, decodable, preview, write_previews
from foresight_cli.reporting.commands import after_adapt
from foresight_cli.reporting.model_card import render_model_card
from foresight_cli.results import AdapterResults, save_results
from foresight_cli.suggest.words import words_of
from foresight_cli.sweep import REFUSED
from foresight_cli.token_grid import query_shape
from foresight_cli.trackers import Tracking, open_tracking, settings_of
from foresight_cli.training.checkpoint import Checkpoint, Epoch
from foresight_cli.training.closed_form import RidgeMap, TooLarge, ridge_map
from foresight_cli.training.fit import Fitted, Kind, Parts, fit_closed, fit_trained
from foresight_cli.training.live import LiveTraining
from foresight_cli.training.loop import Diverged

log = logging.getLogger(__name__)


def run(cfg: DictConfig, found: Found | None = None) -> float:
    """The stage's entry point; returns R2 on the validation groups, for a sweeper to maximise; NaN if refused.

    Args:
        cfg: the settings.
        found: the cache entries that they mean, where these have been looked up.
    """
    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        config = adapt_config(cfg)
        with open_tracking(config.tracker, "adapt", folder, settings_of(config)) as tracking:
            results = adapt(config, folder, tracking, found)
    except ForesightError as error:
        if HydraConfig.get().mode != RunMode.MULTIRUN:
            raise
        # One that is over the budget, or diverges, stops none of the others.
        log.error("%s", error)
        write_atomic(folder / REFUSED, str(error).encode())
        return math.nan
    print_adapter(results, folder)
    if HydraConfig.get().mode != RunMode.MULTIRUN:
        log.info("Next: %s", after_adapt(results, words_of("adapt", HydraConfig.get().overrides.task)))
    return results.r2_validation.value


def adapt(config: AdaptConfig, folder: Path, tracking: Tracking, found: Found | None = None) -> AdapterResults:
    """Train the adapter that ``config`` asks for, save it into ``folder``, and return its held-out scores.

    ``tracking`` is told of every epoch, of the scores, and of the model card and previews.

    Raises:
        ForesightError: nothing is cached for a side, there are too few groups to split, or training diverged.
        UsageError: an adapter over the budget.
    """
    if config.push:
        check_push(config.push)
    shape = query_shape(config.adapter, config.source, config.target) if isinstance(config.adapter, QueryConfig) else {}
    paired = open_pairs(config, found)
    kind = Kind(config.adapter, shape, usable_device(config.device))
    split = split_rows(paired.groups, config.split, config.seed)
    parts = split.parts(paired.pairs)
    log.info(
        "%d samples: %d exact duplicates left out, %d near-duplicates kept together, %d groups",
        *(getattr(paired.duplicates, name) for name in ("rows", "exact", "near", "groups")),
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

    save(scored.results, [])  # what comes now runs the target's network again, and may fail
    results = _with_ceiling(scored, config, paired, tested)
    pictures = _decoded(scored, config, paired, tested, folder)
    save(results, pictures)
    _track(results, folder, pictures, tracking)
    if config.push:
        log.info("published: %s", push_adapter(folder, config.push))
    return results


def _ridge(kind: Kind, parts: Parts, memory_gb: float) -> RidgeMap | None:
    """What closed forms start from and trained adapters are compared to; these can do without.

    Raises:
        TooLarge: an adapter in closed form does not fit in ``memory_gb``.
    """
    try:
        return ridge_map(parts.train, memory_gb=memory_gb)
    except TooLarge as error:
        if not kind.trained:
            raise
        log.warning("ridge is not there to compare with: %s", error)
        return None


def _with_ceiling(scored: Scored, config: AdaptConfig, paired: Paired, tested: list[str]) -> AdapterResults:
    """The results, with the target's noise if that was asked for; raises as :func:`noise_ceiling` does."""
    if config.noise_ceiling == "none":
        return scored.results
    if paired.opened is None:
        raise ForesightError(f"noise_ceiling={config.noise_ceiling} changes the pictures, and these are not there")
    ceiling = noise_ceiling(
        paired.target, tested, paired.opened[0], scored.held.mean, config.noise_ceiling, config.device
    )
    return replace(scored.results, noise_ceiling=ceiling, noise_from=config.noise_ceiling)


def _decoded(scored: Scored, config: AdaptConfig, paired: Paired, tested: list[str], folder: Path) -> list[str]:
    """Names of the pictures that were made of predicted latents; none where the target has no decoder."""
    if paired.opened is None or not decodable(paired.target):
        return []
    rows, labels = best_median_worst(scored.fit.residual, scored.fit.total)
    ids = [tested[row] for row in rows]
    try:
        made = preview(paired.target, scored.predicted(rows), ids, labels, paired.opened[0], config.device)
        return [path.name for path in write_previews(made, folder)] if made else []
    except Exception as error:  # the adapter and its scores are kept without them
        line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        log.warning("warning: figure previews could not be drawn: %s", line)
        return []


def _fit(
    config: AdaptConfig, kind: Kind, paired: Paired, parts: Parts, ridge: RidgeMap | None, tracking: Tracking
) -> tuple[list[Fitted], Fitted]:
    """The adapter, once for each seed where it starts from random weights, and once on shuffled pairs."""
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
            checkpoint = Checkpoint(unfinished / f"{name}.safetensors")
            if (before := checkpoint.load()) is not None:
                log.info("%s goes on after epoch %d", name, len(before.epochs))

            def on_epoch(epoch: Epoch) -> None:
                live.on_epoch(name, epoch)
                _track_epoch(name, epoch, tracking)

            try:
                return fit_trained(kind, on, seed=seed, checkpoint=checkpoint, on_epoch=on_epoch)
            except Diverged as error:
                raise _kept_good(error, checkpoint) from None

        runs = [trained(f"seed-{seed}", parts, seed) for seed in range(config.seed, config.seed + config.seeds)]
        control = trained("shuffled", wrong, config.seed)
    for path in unfinished.glob("*.safetensors"):
        path.unlink()
    with suppress(OSError):  # somebody else's file is in it
        unfinished.rmdir()
    return runs, control


def _track_epoch(name: str, epoch: Epoch, tracking: Tracking) -> None:
    said = asdict(epoch)
    tracking.log(name, said, said.pop("number"), step_name="number")


def _track(results: AdapterResults, folder: Path, pictures: list[str], tracking: Tracking) -> None:
    """The scores on the test rows, and what the run made."""
    for score in results.scores:
        name = "adapter" if score is results.scores[0] else score.name
        of_score = {"r2": score.r2.value, "cosine": score.cosine, "parameters": score.parameters}
        tracking.log(f"test {name}", of_score | {f"recall_at_{k}": value for k, value in score.recall.items()})
    tracking.log("validation", {"r2": results.r2_validation.value})
    for name in ("README.md", *pictures):
        tracking.file(folder / name)


def _kept_good(error: Diverged, checkpoint: Checkpoint) -> Diverged:
    kept = f". The weights of epoch {error.best}, the best, are kept in {checkpoint.path}" if error.best else ""
    return Diverged(f"{error}{kept}", error.best)


def _run_key(config: AdaptConfig, kind: Kind, paired: Paired) -> str:
    """Everything that decides the weights: the same command goes on where it was stopped, another starts anew."""
    said = {
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
    return hashlib.sha256(canonical_json(said)).hexdigest()[:16]
