"""``foresight analyze``: score how two cached latent spaces line up, and judge whether to try an adapter."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from foresight_cli.catalog.find import Found, find
from foresight_cli.config import AnalyzeConfig, RayConfig
from foresight_cli.config.reader import analyze_config
from foresight_cli.config.tree import as_typed
from foresight_cli.experiments.assessment import assess
from foresight_cli.experiments.categories import category_rows
from foresight_cli.experiments.chosen import describe
from foresight_cli.experiments.every_row import measure_every_row
from foresight_cli.experiments.figure_arrays import figure_arrays
from foresight_cli.experiments.left_out import left_out
from foresight_cli.experiments.spaces import describe_space, layer_similarity, space_arrays
from foresight_cli.experiments.warnings import outside, warnings_of
from foresight_cli.extraction.missing import extract_missing
from foresight_cli.inputs.evidence import advice_of, companion_set, untrained
from foresight_cli.inputs.opening import SELECT_SHARE, open_inputs
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
    with open_tracking(config.tracker, "analyze", folder, settings_of(config)) as tracking:
        typed = {"date": f"{date.today()}", "command": as_typed("analyze", hydra.overrides.task)}

        def save(results: Analysis) -> Analysis:
            results = replace(results, provenance={**typed, **results.provenance})
            save_results(results, folder / "results.yaml")
            return results

        results, _ = analyze(
            config,
            entries,
            on_results=save,
            on_arrays=lambda arrays: save_arrays(arrays, folder / "figures.safetensors"),
        )
        results = save(results)
        _track(results, tracking)
    if config.study_table:
        entries = find(config.cache_dir, config.source, config.target, config.data)
        write_study_table(study_rows(entries, results), results, folder)
    log.info("%s", results.verdict.line)
    for reason in results.verdict.reasons:
        log.info("  %s", reason)
    log.info("results -> %s. Next: %s", folder / "results.yaml", report_command(_run_or_sweep(hydra), "analyze"))
    return results.chosen_pair.r2.value


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


def analyze(
    config: AnalyzeConfig,
    entries: Found | None = None,
    *,
    on_results: Callable[[Analysis], object] = lambda results: None,
    on_arrays: Callable[[dict[str, np.ndarray]], object] = lambda arrays: None,
) -> tuple[Analysis, dict[str, np.ndarray]]:
    """Return the results, and the arrays that figures are drawn from.

    Args:
        config: settings of the analysis.
        entries: the cache entries that it selects, if these were looked up before.
        on_results: called with the results on the scored rows before the work that only figures need, so that they
            are kept if that work fails.
        on_arrays: called with the arrays before every row is measured, which may take hours.

    Raises:
        ForesightError: nothing is cached for a side, or there are too few samples to measure anything.
    """
    results, arrays, sample = _sampled(config, entries, on_results)
    on_arrays(arrays)
    # The memory of the sampled rows is free by now; the sums over all rows need some too.
    return _with_every_row(results, sample, config), arrays


@dataclass(frozen=True)
class _Sample:
    """The samples from which the scored rows were drawn.

    Attributes:
        entries: the cache entries of both sides.
        group_of: the group of every sample that counts.
        left_out: number of samples that do not count.
        drawn: number of samples that were scored, or set aside for choosing a pair.
    """

    entries: Found
    group_of: Mapping[str, str]
    left_out: int
    drawn: int


def _sampled(
    config: AnalyzeConfig, entries: Found | None, on_results: Callable[[Analysis], object]
) -> tuple[Analysis, dict[str, np.ndarray], _Sample]:
    opened = open_inputs(config, entries)
    inputs, rows = opened.inputs, opened.inputs.rows
    log.info(
        "%d samples in %d groups: %d rows scored, %d set aside for choosing a layer and pooling",
        *(rows.duplicates.rows, rows.duplicates.groups, len(rows.score), len(rows.select)),
    )
    assessed = assess(
        inputs,
        config,
        study_values=lambda s, t: study_values(
            inputs.sources[s], inputs.targets[t], max_rows=config.max_rows, seed=config.seed
        ),
        companion=lambda s, t: companion_set(opened.entries, (s, t), config),
        more_controls=lambda s: untrained(opened.entries.source[s], inputs.samples.ids, config.cache_dir),
    )
    spaces, scored = [*assessed.sources, *assessed.targets], assessed.scored
    described = describe(assessed, config)
    measured = [described.pair if i == assessed.index else pair for i, pair in enumerate(assessed.pairs)]
    for pair in measured:
        log.info(
            "%s -> %s: R2 %.3f, CKA %.3f",
            *(spaces[pair.source].name, spaces[pair.target].name, pair.r2.value, pair.cka.value),
        )
    near = zip(spaces, rows.alike.near_in, strict=False)
    of_spaces = [describe_space(space, scored, alike, config.seed) for space, alike in near]
    arrays = space_arrays(spaces, scored)
    similar, similarity = layer_similarity(spaces, assessed.chosen[0].pooling)
    results = Analysis(
        source=config.source.model.name,
        target=config.target.model.name,
        weights=_weights(opened.entries),
        data=dict(opened.entries.provenance),
        labels=_counts(scored.labels),
        rows=len(rows.score),
        duplicates=rows.duplicates,
        spaces=[space for space, _ in of_spaces],
        pairs=measured,
        layer_similarity=similarity,
        layer_similarity_spaces=similar,
        top_channels=_top_channels(arrays),
        chosen=described.chosen,
        controls=list(assessed.evidence.controls),
        verdict=assessed.verdict,
        settings=_settings(config),
        provenance=_provenance(opened.entries),
        category_rows=category_rows(scored.labels),
        left_alone=dict(opened.entries.source[0].manifest()["provenance"].get("left_alone", {})),
    )
    unmeasured = [
        *left_out(results, spaces, scored, assessed.evidence.unmeasured),
        *(sentence for _, reasons in of_spaces for sentence in reasons),
    ]
    for sentence in unmeasured:
        log.warning("warning: %s", sentence)
    if not results.labels:
        log.info("no sample has a label: categories are not scored")
    advice = [*opened.entries.older, *advice_of(assessed, opened.entries, config)]
    results = warnings_of(results, scored, [*unmeasured, *advice])
    on_results(results)
    drawn, failures = figure_arrays(assessed, opened.dataset, results.duplicates.examples, config.seed)
    sample = _Sample(opened.entries, opened.group_of, opened.left_out, len(rows.score) + len(rows.select))
    return replace(results, warnings=[*results.warnings, *failures]), arrays | drawn, sample


def _with_every_row(results: Analysis, sample: _Sample, config: AnalyzeConfig) -> Analysis:
    """Add measurements of the chosen pair on every row; unchanged if all rows were scored or every_row=false."""
    if not config.every_row or sample.drawn >= len(sample.group_of):
        if isinstance(config.runner, RayConfig):
            log.info("runner=ray: not needed, %d rows were scored here", sample.drawn)
        return results
    pair, sources = results.chosen_pair, len(sample.entries.source)
    source, target = sample.entries.source[pair.source], sample.entries.target[pair.target - sources]
    whole = measure_every_row(source, target, results.chosen_source.dimension, sample.group_of, sample.left_out, config)
    if whole is None:
        return results
    log.info("every row: R2 %.3f, CKA %.3f", whole.r2.value, whole.cka)
    return replace(results, whole=whole, warnings=[*results.warnings, *outside(results, whole)])


def _counts(labels: Sequence[str | None]) -> dict[str, int]:
    return {name: labels.count(name) for name in sorted({label for label in labels if label is not None})}


def _top_channels(arrays: dict[str, np.ndarray]) -> list[int]:
    variance = arrays.get("channels/variance", np.empty(0))
    return [int(channel) for channel in np.argsort(-variance)[:10]]


def _weights(entries: Found) -> str:
    names = (str(entry.recipe.model.get("checkpoint", "")) for entry in [*entries.source, *entries.target])
    return "tiny" if any(name.startswith("tiny:") for name in names) else "hub"


def _settings(config: AnalyzeConfig) -> dict[str, Any]:
    settings = asdict(config)
    kept = ("seed", "max_rows", "permutations", "folds", "neighbors", "controls", "thresholds", "verdict")
    preset = {"preset": config.preset} if config.preset else {}
    return {**{key: settings[key] for key in kept}, "select_share": SELECT_SHARE, **preset}


def _provenance(sides: Found) -> dict[str, Any]:
    entries = [*sides.source, *sides.target]
    packages = ("foresight-latents", "torch", "numpy", "scipy", "scikit-learn")
    return {
        "entries": [str(entry.path) for entry in entries],
        "recipes": [entry.recipe.to_dict() for entry in entries],
        "versions": {name: version(name) for name in packages},
        "extracted_with": sides.source[0].manifest()["provenance"]["versions"],
    }
