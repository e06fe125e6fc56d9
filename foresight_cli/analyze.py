"""``foresight analyze``: score how two cached latent spaces line up, and say whether to try an adapter."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from foresight_cli.catalog import Found, find, reopen
from foresight_cli.config import AnalyzeConfig
from foresight_cli.config_groups import as_typed
from foresight_cli.config_reader import analyze_config
from foresight_cli.control_spaces import control_latents
from foresight_cli.data import Dataset
from foresight_cli.errors import ForesightError
from foresight_cli.experiments import pairs
from foresight_cli.experiments.chosen import describe
from foresight_cli.experiments.controls import control_results
from foresight_cli.experiments.representation import Representation
from foresight_cli.experiments.rows import Rows, choose_rows
from foresight_cli.experiments.scored import Scored
from foresight_cli.experiments.spaces import describe_space, layer_similarity, space_arrays
from foresight_cli.experiments.study_rule import study_values
from foresight_cli.experiments.thumbnails import with_thumbnails
from foresight_cli.experiments.warnings import warnings_of
from foresight_cli.latents import Latents, join, load
from foresight_cli.results import Analysis, Pair, save_arrays, save_results
from foresight_cli.verdict import judge

log = logging.getLogger(__name__)

SELECT_SHARE = 0.3
"""Groups set aside for choosing among layers and poolings; the estimates are made on the others."""


@dataclass(frozen=True)
class Inputs:
    """What is in the cache for the question asked, joined by sample id.

    Attributes:
        found: the cache entries.
        spaces: the sources, then the targets, on every row.
        controls: by name, on every row.
        known: labels, groups and attributes of every row.
        dataset: the pictures, where they can be read.
        rows: which rows are scored.
    """

    found: Found
    spaces: list[Representation]
    controls: dict[str, Latents]
    known: Latents
    dataset: Dataset | None
    rows: Rows

    @property
    def grid(self) -> list[tuple[int, int]]:
        """Every source with every target, as indices of :attr:`spaces`."""
        first_target = len(self.found.source)
        return [(s, t) for s in range(first_target) for t in range(first_target, len(self.spaces))]


def run(cfg: DictConfig) -> float:
    """The stage's entry point; returns the chosen pair's held-out R2, for a sweeper to maximise."""
    config = analyze_config(cfg)
    results, arrays = analyze(config)
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    said = {"date": f"{date.today()}", "command": as_typed("analyze", hydra.overrides.task)}
    results = replace(results, provenance={**said, **results.provenance})
    save_results(results, folder / "results.yaml")
    save_arrays(arrays, folder / "figures.safetensors")
    log.info("%s", results.verdict.answer)
    for reason in results.verdict.reasons:
        log.info("  %s", reason)
    log.info("results -> %s. Next: foresight report", folder / "results.yaml")
    return results.chosen_pair.r2.value


def analyze(config: AnalyzeConfig) -> tuple[Analysis, dict[str, np.ndarray]]:
    """The results, and the arrays that figures are drawn from.

    Raises:
        ForesightError: nothing is cached for a side, or there are too few samples to measure anything.
    """
    inputs = _load(config)
    rows = inputs.rows
    scored = _scored(inputs.known, rows)
    log.info(
        "%d samples in %d groups: %d rows scored, %d set aside for choosing a layer and pooling",
        *(rows.duplicates.rows, rows.duplicates.groups, len(rows.score), len(rows.select)),
    )
    spaces = [space.rows(rows.score, rows.one_of_each) for space in inputs.spaces]
    _refuse_constant(spaces)
    measured = _measure(inputs, spaces, scored, config)
    best = _choose(measured, spaces)
    s, t = inputs.grid[best]
    found = describe(best, measured[best], spaces[s], spaces[t], scored, config)
    chosen, measured[best], arrays = found.chosen, found.pair, found.arrays
    control_values = {name: held.values.double()[rows.score] for name, held in inputs.controls.items()}
    controls = control_results(control_values, spaces[s], spaces[t], scored, config)
    verdict = judge(
        measured[best],
        controls,
        chosen.attributes,
        chosen.mantel_within_label,
        len(set(scored.groups)),
        config.thresholds,
        labelled=scored.labelled,
        unmeasured=found.unmeasured,
        study_values=study_values(inputs.spaces[s], inputs.spaces[t], max_rows=config.max_rows, seed=config.seed),
    )
    arrays |= space_arrays(spaces, scored, config.seed)
    similar, similarity = layer_similarity(spaces, spaces[s].pooling)
    results = Analysis(
        source=config.source.model.name,
        target=config.target.model.name,
        weights=_weights(inputs.found),
        data=dict(inputs.found.provenance),
        labels=_counts(scored.labels),
        rows=len(rows.score),
        duplicates=rows.duplicates,
        spaces=[describe_space(x, scored, near, config.seed) for x, near in zip(spaces, rows.near, strict=False)],
        pairs=measured,
        layer_similarity=similarity,
        layer_similarity_spaces=similar,
        top_channels=_top_channels(arrays),
        chosen=chosen,
        controls=controls,
        verdict=verdict,
        settings=_settings(config),
        provenance=_provenance(inputs.found),
    )
    return warnings_of(results, scored), with_thumbnails(arrays, scored.independent.ids, inputs.dataset)


def _load(config: AnalyzeConfig) -> Inputs:
    found = find(config.cache_dir, config.source, config.target, config.data, config.weights)
    opened = reopen(found, config.data)
    controls = control_latents(config.controls, opened[1], config.cache_dir) if opened else {}
    entries = [*found.source, *found.target]
    joined = join(*(load(entry) for entry in entries), *controls.values())
    latents = joined[: len(entries)]
    pixels = [held for name, held in zip(controls, joined[len(entries) :], strict=True) if name == "pixels"]
    sources, targets = latents[: len(found.source)], latents[len(found.source) :]
    rows = choose_rows(
        [sources, targets, *([pixels] if pixels else [])],
        max_rows=config.max_rows,
        select_share=SELECT_SHARE if len(found.source) * len(found.target) > 1 else 0.0,
        seed=config.seed,
        skipped=found.source[0].manifest()["skipped"],
    )
    sides = ["source"] * len(found.source) + ["target"] * len(found.target)
    spaces = [
        Representation.of(side, e.recipe.model["name"], e.recipe.layer, e.recipe.pooling, e.path.name, held)
        for side, e, held in zip(sides, entries, latents, strict=True)
    ]
    held_controls = dict(zip(controls, joined[len(entries) :], strict=True))
    return Inputs(found, spaces, held_controls, latents[0], opened[0] if opened else None, rows)


def _scored(latents: Latents, rows: Rows) -> Scored:
    groups = [rows.groups[i] for i in rows.score]
    if len(set(groups)) < 20:
        raise ForesightError(
            f"{len(set(groups))} independent samples are left of {len(latents)}: at least 20 are needed to measure "
            "anything, and 100 for a verdict. Extract more data"
        )
    some = latents.take(rows.score)
    return Scored(some.ids, some.labels, groups, some.attributes, rows.one_of_each)


def _refuse_constant(spaces: Sequence[Representation]) -> None:
    for space in spaces:
        if bool((space.values == space.values[0]).all()):
            raise ForesightError(f"{space.name}: all {len(space.values)} rows are the same, so nothing can be measured")


def _choose(measured: Sequence[Pair], spaces: Sequence[Representation]) -> int:
    """The pair that the verdict is about: the best source, by the rows set aside, for one target.

    R2 says nothing between targets, of which one may be easier than another. With several, it is a flat one: a decoder
    needs every value, and only there can be seen whether position survives.
    """
    flat = [i for i, pair in enumerate(measured) if spaces[pair.target].pooling == "flat"]
    return max(flat or range(len(measured)), key=lambda i: measured[i].selection_r2 or 0.0)


def _measure(inputs: Inputs, spaces: Sequence[Representation], scored: Scored, config: AnalyzeConfig) -> list[Pair]:
    """Every pair on the scored rows, each with its held-out R2 on the rows set aside for choosing."""
    aside = inputs.rows.select
    groups = [inputs.rows.groups[i] for i in aside]
    folds = min(config.folds, len(set(groups)))
    small = [space.rows(aside) for space in inputs.spaces] if aside else []
    measured = []
    for s, t in inputs.grid:
        selection = pairs.probe(small[s], small[t], groups, folds, config.seed).r2 if aside else None
        measured.append(pairs.measure((s, t), spaces[s], spaces[t], scored.groups, config, selection))
        log.info(
            "%s -> %s: R2 %.3f, CKA %.3f", spaces[s].name, spaces[t].name, measured[-1].r2.value, measured[-1].cka.value
        )
    return measured


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
    kept = ("seed", "max_rows", "permutations", "folds", "neighbors", "controls", "thresholds")
    return {**{key: said[key] for key in kept}, "select_share": SELECT_SHARE}


def _provenance(found: Found) -> dict[str, Any]:
    entries = [*found.source, *found.target]
    packages = ("foresight-latents", "torch", "numpy", "scipy", "scikit-learn")
    return {
        "entries": [str(entry.path) for entry in entries],
        "recipes": [entry.recipe.to_dict() for entry in entries],
        "versions": {name: version(name) for name in packages},
        "extracted_with": found.source[0].manifest()["provenance"]["versions"],
    }
