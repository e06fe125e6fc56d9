"""``foresight analyze``: score how two cached latent spaces line up, and say whether to try an adapter."""

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

from foresight_cli.analysis_inputs import SELECT_SHARE, open_inputs
from foresight_cli.catalog import Found, find
from foresight_cli.config import AnalyzeConfig, RayConfig
from foresight_cli.config_groups import as_typed
from foresight_cli.config_reader import analyze_config
from foresight_cli.every_row import measure_every_row
from foresight_cli.evidence import advice_of, companion_set, untrained
from foresight_cli.experiments.assessment import assess
from foresight_cli.experiments.categories import category_rows
from foresight_cli.experiments.chosen import describe
from foresight_cli.experiments.figure_arrays import figure_arrays
from foresight_cli.experiments.left_out import left_out
from foresight_cli.experiments.spaces import describe_space, layer_similarity, space_arrays
from foresight_cli.experiments.study_q1 import study_rows
from foresight_cli.experiments.study_rule import study_values
from foresight_cli.experiments.warnings import outside, warnings_of
from foresight_cli.extract_missing import extract_missing
from foresight_cli.reporting.study_table import write_study_table
from foresight_cli.results import Analysis, save_arrays, save_results
from foresight_cli.suggest.next_step import report_command
from foresight_cli.trackers import Tracking, open_tracking, settings_of

log = logging.getLogger(__name__)


def run(cfg: DictConfig, found: Found | None = None) -> float:
    """The stage's entry point; returns the chosen pair's held-out R2, for a sweeper to maximise.

    Args:
        cfg: the settings.
        found: the cache entries that they mean, where these have been looked up.
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
            config, found, on_results=save, on_arrays=lambda arrays: save_arrays(arrays, folder / "figures.safetensors")
        )
        results = save(results)
        _track(results, tracking)
    if config.study_table:
        found = find(config.cache_dir, config.source, config.target, config.data)
        write_study_table(study_rows(found, results), results, folder)
    log.info("%s", results.verdict.line)
    for reason in results.verdict.reasons:
        log.info("  %s", reason)
    log.info("results -> %s. Next: %s", folder / "results.yaml", report_command(_run_or_sweep(hydra), "analyze"))
    return results.chosen_pair.r2.value


def _run_or_sweep(hydra: Any) -> Path:
    """Where the run writes; of a job of a sweep, where the whole sweep does."""
    sweep = hydra.mode == RunMode.MULTIRUN
    return Path(hydra.sweep.dir if sweep else hydra.runtime.output_dir)


def _track(results: Analysis, tracking: Tracking) -> None:
    """The pair of the verdict, the controls it is held against, and the verdict itself."""
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
    found: Found | None = None,
    *,
    on_results: Callable[[Analysis], object] = lambda results: None,
    on_arrays: Callable[[dict[str, np.ndarray]], object] = lambda arrays: None,
) -> tuple[Analysis, dict[str, np.ndarray]]:
    """The results, and the arrays that figures are drawn from.

    Args:
        config: what to analyse.
        found: the cache entries that it means, where these have been looked up.
        on_results: called with what was measured on the scored rows before anything is made that only figures need:
            whatever then fails, the results are kept.
        on_arrays: called with the arrays before every row is measured, which may take hours.

    Raises:
        ForesightError: nothing is cached for a side, or there are too few samples to measure anything.
    """
    results, arrays, sample = _sampled(config, found, on_results)
    on_arrays(arrays)
    # Now that the drawn rows are out of memory: the sums over all of them take room of their own.
    return _with_every_row(results, sample, config), arrays


@dataclass(frozen=True)
class _Sample:
    """What the rows were drawn from.

    Attributes:
        found: the entries.
        group_of: the group of every sample that counts.
        left_out: samples that do not.
        drawn: samples that were scored, or set aside for choosing a pair.
    """

    found: Found
    group_of: Mapping[str, str]
    left_out: int
    drawn: int


def _sampled(
    config: AnalyzeConfig, cached: Found | None, on_results: Callable[[Analysis], object]
) -> tuple[Analysis, dict[str, np.ndarray], _Sample]:
    opened = open_inputs(config, cached)
    inputs, rows = opened.inputs, opened.inputs.rows
    log.info(
        "%d samples in %d groups: %d rows scored, %d set aside for choosing a layer and pooling",
        *(rows.duplicates.rows, rows.duplicates.groups, len(rows.score), len(rows.select)),
    )
    found = assess(
        inputs,
        config,
        study_values=lambda s, t: study_values(
            inputs.sources[s], inputs.targets[t], max_rows=config.max_rows, seed=config.seed
        ),
        companion=lambda s, t: companion_set(opened.found, (s, t), config),
        more_controls=lambda s: untrained(opened.found.source[s], inputs.known.ids, config.cache_dir),
    )
    spaces, scored = [*found.sources, *found.targets], found.scored
    described = describe(found, config)
    measured = [described.pair if i == found.index else pair for i, pair in enumerate(found.pairs)]
    for pair in measured:
        log.info(
            "%s -> %s: R2 %.3f, CKA %.3f",
            *(spaces[pair.source].name, spaces[pair.target].name, pair.r2.value, pair.cka.value),
        )
    near = zip(spaces, rows.alike.near_in, strict=False)
    of_spaces = [describe_space(space, scored, alike, config.seed) for space, alike in near]
    arrays = space_arrays(spaces, scored)
    similar, similarity = layer_similarity(spaces, found.chosen[0].pooling)
    results = Analysis(
        source=config.source.model.name,
        target=config.target.model.name,
        weights=_weights(opened.found),
        data=dict(opened.found.provenance),
        labels=_counts(scored.labels),
        rows=len(rows.score),
        duplicates=rows.duplicates,
        spaces=[space for space, _ in of_spaces],
        pairs=measured,
        layer_similarity=similarity,
        layer_similarity_spaces=similar,
        top_channels=_top_channels(arrays),
        chosen=described.chosen,
        controls=list(found.evidence.controls),
        verdict=found.verdict,
        settings=_settings(config),
        provenance=_provenance(opened.found),
        category_rows=category_rows(scored.labels),
        left_alone=dict(opened.found.source[0].manifest()["provenance"].get("left_alone", {})),
    )
    unmeasured = [
        *left_out(results, spaces, scored, found.evidence.unmeasured),
        *(sentence for _, some in of_spaces for sentence in some),
    ]
    for sentence in unmeasured:
        log.warning("warning: %s", sentence)
    advice = [*opened.found.older, *advice_of(found, opened.found, config)]
    results = warnings_of(results, scored, [*unmeasured, *advice])
    on_results(results)
    drawn, failures = figure_arrays(found, opened.dataset, results.duplicates.examples, config.seed)
    sample = _Sample(opened.found, opened.group_of, opened.left_out, len(rows.score) + len(rows.select))
    return replace(results, warnings=[*results.warnings, *failures]), arrays | drawn, sample


def _with_every_row(results: Analysis, sample: _Sample, config: AnalyzeConfig) -> Analysis:
    """The results with the chosen pair on every row; as they are where all were scored or the user wants none of it."""
    if not config.every_row or sample.drawn >= len(sample.group_of):
        if isinstance(config.runner, RayConfig):
            log.info("runner=ray: not needed, %d rows were scored here", sample.drawn)
        return results
    pair, sources = results.chosen_pair, len(sample.found.source)
    source, target = sample.found.source[pair.source], sample.found.target[pair.target - sources]
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


def _weights(found: Found) -> str:
    names = (str(entry.recipe.model.get("checkpoint", "")) for entry in [*found.source, *found.target])
    return "tiny" if any(name.startswith("tiny:") for name in names) else "hub"


def _settings(config: AnalyzeConfig) -> dict[str, Any]:
    said = asdict(config)
    kept = ("seed", "max_rows", "permutations", "folds", "neighbors", "controls", "thresholds", "verdict")
    preset = {"preset": config.preset} if config.preset else {}
    return {**{key: said[key] for key in kept}, "select_share": SELECT_SHARE, **preset}


def _provenance(found: Found) -> dict[str, Any]:
    entries = [*found.source, *found.target]
    packages = ("foresight-latents", "torch", "numpy", "scipy", "scikit-learn")
    return {
        "entries": [str(entry.path) for entry in entries],
        "recipes": [entry.recipe.to_dict() for entry in entries],
        "versions": {name: version(name) for name in packages},
        "extracted_with": found.source[0].manifest()["provenance"]["versions"],
    }
