"""``foresight adapt``: train a small adapter between two cached spaces, and score it once on held-out groups."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from foresight_cli.adapters import Adapter, check_push, push_adapter, save_adapter
from foresight_cli.adapters.budget import OverBudget
from foresight_cli.catalog.find import Found
from foresight_cli.config import AdaptConfig
from foresight_cli.config.reader import adapt_config
from foresight_cli.errors import ForesightError, UsageError, first_line
from foresight_cli.evaluation.adapter_results import Scored, held_out_results
from foresight_cli.evaluation.noise_ceiling import noise_ceiling
from foresight_cli.evaluation.previews import best_median_worst, decodable, preview
from foresight_cli.inputs.adapter_split import split_rows
from foresight_cli.inputs.opening import Paired, open_pairs
from foresight_cli.latents.storage.atomic import write_atomic
from foresight_cli.reporting.adapter_summary import print_adapter
from foresight_cli.reporting.commands import after_adapt
from foresight_cli.reporting.model_card import render_model_card
from foresight_cli.reporting.sweep import REFUSED
from foresight_cli.results import AdapterResults, save_results
from foresight_cli.suggest.words import changed_line, words_of
from foresight_cli.trackers import Tracking, open_tracking, settings_of
from foresight_cli.training.run import fit_runs, kind_of

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
    kind = kind_of(config)
    paired = open_pairs(config, entries)
    split = split_rows(paired.groups, config.split, config.seed)
    parts = split.parts(paired.pairs)
    log.info(
        "%d samples: %s left out, %s kept together, %d groups",
        *(getattr(paired.duplicates, name) for name in ("rows", "exact_words", "near_words", "groups")),
    )
    log.info("%s: %s%d parameters; %d training, %d validation and %d test rows", config.adapter.name,
             "" if kind.fixed else "at most ", kind.check(parts.train.dims),
             *(len(part) for part in (parts.train, parts.validation, parts.test)))  # fmt: skip
    runs = fit_runs(config, kind, parts, paired.identity, tracking)
    scored = held_out_results(config, paired, split, parts, runs.ridge, runs.seeds, runs.shuffled)
    tested = [paired.table.ids[i] for i in split.test.tolist()]
    _save(scored.results, [], scored.kept.adapter, paired, folder, config)  # now: the next steps may fail
    results = _with_ceiling(scored, config, paired, tested)
    pictures = _save_previews(scored, config, paired, tested, folder)
    _save(results, pictures, scored.kept.adapter, paired, folder, config)
    _track(results, folder, pictures, tracking)
    if config.push:
        log.info("published: %s", push_adapter(folder, config.push))
    return results


def _save(
    results: AdapterResults, pictures: list[str], adapter: Adapter, paired: Paired, folder: Path, config: AdaptConfig
) -> None:
    """Write the adapter with its model card, and the results."""
    recipes = {"source": paired.source.recipe.to_dict(), "target": paired.target.recipe.to_dict()}
    card = render_model_card(adapter, recipes, results, repo_id=config.push, previews=pictures)
    save_adapter(adapter, folder, recipes, card=card)
    save_results(results, folder / "results.yaml")


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


def _track(results: AdapterResults, folder: Path, pictures: list[str], tracking: Tracking) -> None:
    """Send the scores on the test rows and the files of the run to the tracker."""
    for score in results.scores:
        name = "adapter" if score is results.scores[0] else score.name
        of_score = {"r2": score.r2.value, "cosine": score.cosine, "parameters": score.parameters}
        tracking.log(f"test {name}", of_score | {f"recall_at_{k}": value for k, value in score.recall.items()})
    tracking.log("validation", {"r2": results.r2_validation.value})
    for name in ("README.md", *pictures):
        tracking.file(folder / name)
