"""The record of an analysis: all measures of the scored rows, as results and as arrays for the figures."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from foresight_cli.catalog.find import Found
from foresight_cli.config import AnalyzeConfig
from foresight_cli.config.controls import RANDOM_INIT
from foresight_cli.experiments.assessment import Assessment
from foresight_cli.experiments.categories import category_rows
from foresight_cli.experiments.chosen import describe
from foresight_cli.experiments.left_out import left_out
from foresight_cli.experiments.spaces import describe_space, layer_similarity, space_arrays
from foresight_cli.experiments.warnings import warnings_of
from foresight_cli.extraction.provenance import versions_of
from foresight_cli.inputs.opening import SELECT_SHARE, Opened
from foresight_cli.results import Analysis
from foresight_cli.suggest.missing_evidence import missing_evidence

log = logging.getLogger(__name__)


def record(opened: Opened, assessed: Assessment, config: AnalyzeConfig) -> tuple[Analysis, dict[str, np.ndarray]]:
    """Describe every space and the chosen pair; return the results, and the arrays of the spaces.

    What could not be measured, and what to type for it, is among the warnings of the results and in the log.
    """
    rows = opened.joined.rows
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
    s, t = assessed.place
    missing = missing_evidence(
        opened.entries.source[s],
        opened.entries.target[t],
        config.cache_dir,
        attributes=bool(assessed.evidence.chosen.attributes or scored.attributes),
        random_init=RANDOM_INIT in {control.name for control in assessed.evidence.controls},
    )
    advice = [*opened.entries.older, *missing]
    return warnings_of(results, scored, [*unmeasured, *advice]), arrays


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
        "versions": versions_of(packages),
        "extracted_with": sides.source[0].manifest()["provenance"]["versions"],
    }
