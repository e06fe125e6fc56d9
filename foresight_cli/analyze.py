"""``foresight analyze``: score how two cached latent spaces line up, and judge whether to try an adapter."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from foresight_cli.catalog.find import Found, find
from foresight_cli.catalog.untrained import untrained_latents
from foresight_cli.config import AnalyzeConfig
from foresight_cli.config.controls import RANDOM_INIT
from foresight_cli.config.reader import analyze_config
from foresight_cli.config.tree import as_typed
from foresight_cli.experiments.assessment import Assessment, More, choose, judge_pair, measure_pairs
from foresight_cli.experiments.every_row import AllSamples, with_every_row
from foresight_cli.experiments.figure_arrays import figure_arrays
from foresight_cli.experiments.record import record
from foresight_cli.extraction.missing import extract_missing
from foresight_cli.inputs.companion import companion_set
from foresight_cli.inputs.opening import Opened, open_inputs
from foresight_cli.results import Analysis, save_arrays, save_results
from foresight_cli.study_q1.numbers import study_rows
from foresight_cli.study_q1.rule import study_values
from foresight_cli.study_q1.table import write_study_table
from foresight_cli.suggest.next_step import report_command
from foresight_cli.trackers import Tracking, open_tracking, settings_of

log = logging.getLogger(__name__)


def run(cfg: DictConfig, entries: Found | None = None) -> float:
    """Run the stage and return the chosen pair's held-out R2, for a sweeper to maximise.

    Args:
        cfg: the settings.
        entries: the cache entries that they select, if these were looked up before.
    """
    config = analyze_config(cfg)
    if config.extract:
        extract_missing(config)
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    typed = {"date": f"{date.today()}", "command": as_typed("analyze", hydra.overrides.task)}
    with open_tracking(config.tracker, "analyze", folder, settings_of(config)) as tracking:
        results, samples = _sampled(config, entries, folder, typed)
        results = with_every_row(results, samples, config)  # the drawn rows are out of memory by now
        save_results(results, folder / "results.yaml")
        _track(results, tracking)
    if config.study_table:
        entries = find(config.cache_dir, config.source, config.target, config.data)
        write_study_table(study_rows(entries, results), results, folder)
    log.info("%s", results.verdict.line)
    for reason in results.verdict.reasons:
        log.info("  %s", reason)
    log.info("results -> %s. Next: %s", folder / "results.yaml", report_command(_run_or_sweep(hydra), "analyze"))
    return results.chosen_pair.r2.value


def _sampled(
    config: AnalyzeConfig, entries: Found | None, folder: Path, typed: dict[str, str]
) -> tuple[Analysis, AllSamples]:
    """Judge the drawn rows, and save results and arrays.

    Results are saved before the work that only figures need, and arrays before every row is measured, which may take
    hours: whatever fails then, they are kept.

    Args:
        config: settings of the analysis.
        entries: the cache entries that they select, if these were looked up before.
        folder: of the run.
        typed: date and command, for the provenance.

    Raises:
        ForesightError: nothing is cached for a side, or there are too few samples to measure anything.
    """
    opened = open_inputs(config, entries)
    rows = opened.joined.rows
    log.info(
        "%d samples in %d groups: %d rows scored, %d set aside for choosing a layer and pooling",
        *(rows.duplicates.rows, rows.duplicates.groups, len(rows.score), len(rows.select)),
    )
    assessed = _assessed(opened, config)
    results, arrays = record(opened, assessed, config)
    results = replace(results, provenance={**typed, **results.provenance})
    save_results(results, folder / "results.yaml")
    drawn, failures = figure_arrays(assessed, opened.dataset, results.duplicates.examples, config.seed)
    save_arrays(arrays | drawn, folder / "figures.safetensors")
    samples = AllSamples(opened.entries, opened.group_of, opened.left_out, len(rows.score) + len(rows.select))
    return replace(results, warnings=[*results.warnings, *failures]), samples


def _assessed(opened: Opened, config: AnalyzeConfig) -> Assessment:
    """Measure every pair, choose one, find more evidence on it, and judge it."""
    measured = measure_pairs(opened.joined, config)
    index = choose(measured)
    more = _more_evidence(opened, *measured.place_of(index), config)
    return judge_pair(measured, index, more, config)


def _more_evidence(opened: Opened, s: int, t: int, config: AnalyzeConfig) -> More:
    """Find evidence on source ``s`` and target ``t`` in the cache, and compute the Q1 study's numbers."""
    joined, entries = opened.joined, opened.entries
    source, target = entries.source[s], entries.target[t]
    untrained = untrained_latents(source, config.cache_dir, joined.samples.ids)
    return More(
        companion=None if joined.samples.attributes else companion_set(source, target, entries.labels, config),
        controls={} if untrained is None else {RANDOM_INIT: untrained.values},
        study_values=study_values(joined.sources[s], joined.targets[t], max_rows=config.max_rows, seed=config.seed),
    )


def _run_or_sweep(hydra: Any) -> Path:
    """Return the folder of the run; for a job of a sweep, the folder of the whole sweep."""
    sweep = hydra.mode == RunMode.MULTIRUN
    return Path(hydra.sweep.dir if sweep else hydra.runtime.output_dir)


def _track(results: Analysis, tracking: Tracking) -> None:
    """Send the chosen pair, its controls and the verdict to the tracker."""
    pair = results.chosen_pair
    of_pair = {"r2": pair.r2.value, "cka": pair.cka.value, "spearman": pair.spearman.value, "cosine": pair.cosine}
    recall = {f"recall_at_{hood.k}": hood.recall.value for hood in pair.neighborhood[:1]}
    tracking.log("chosen", of_pair | recall | {"rows": results.rows})
    for control in results.controls:
        tracking.log(f"control {control.name}", {"r2": control.r2, "r2_added": control.delta_r2.value})
    for attribute in results.chosen.attributes:
        if attribute.retention is not None:
            tracking.log(f"attribute {attribute.name}", {"retention": attribute.retention.value})
    tracking.note("pair", f"{results.chosen_source.name} -> {results.chosen_target.name}")
    tracking.note("verdict", results.verdict.line)
