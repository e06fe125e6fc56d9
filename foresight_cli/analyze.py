"""``foresight analyze``: score how two cached latent spaces line up, and say whether a small adapter can bridge them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from foresight_cli.catalog import Found, find, reopen
from foresight_cli.config import AnalyzeConfig
from foresight_cli.config_reader import analyze_config
from foresight_cli.control_spaces import control_latents
from foresight_cli.data import Dataset
from foresight_cli.errors import ForesightError
from foresight_cli.experiments import pairs
from foresight_cli.experiments.chosen import Scored, describe
from foresight_cli.experiments.clusters import channel_arrays, cluster_scores, label_codes, tsne
from foresight_cli.experiments.controls import control_results
from foresight_cli.experiments.dimension import dimensions, spectrum
from foresight_cli.experiments.representation import Representation
from foresight_cli.experiments.rows import Rows, choose_rows
from foresight_cli.experiments.study_rule import study_values
from foresight_cli.latents import Entry, Latents, join, load
from foresight_cli.metrics import linear_cka
from foresight_cli.results import Analysis, Estimate, Pair, Space, save_arrays, save_results
from foresight_cli.verdict import judge

log = logging.getLogger(__name__)

SELECT_SHARE = 0.3
"""Groups set aside for choosing among layers and poolings; the estimates are made on the others."""


def run(cfg: DictConfig) -> float:
    """The stage's entry point; returns the chosen pair's held-out R2, for a sweeper to maximise."""
    config = analyze_config(cfg)
    results, arrays = analyze(config)
    folder = Path(HydraConfig.get().runtime.output_dir)
    save_results(results, folder / "results.yaml")
    save_arrays(arrays, folder / "figures.safetensors")
    log.info("%s: %s", results.verdict.answer, "; ".join(results.verdict.reasons))
    log.info("results -> %s. Next: foresight report", folder / "results.yaml")
    return results.chosen_pair.r2.value


def analyze(config: AnalyzeConfig) -> tuple[Analysis, dict[str, np.ndarray]]:
    """The results, and the arrays that figures are drawn from.

    Raises:
        ForesightError: nothing is cached for a side, or too few samples to measure anything.
    """
    found = find(config.cache_dir, config.source, config.target, config.data, config.weights)
    opened = reopen(found, config.data)
    controls = control_latents(config.controls, opened[1], config.cache_dir) if opened else {}
    entries = [*found.source, *found.target]
    latents = join(*(load(e) for e in entries), *controls.values())
    skipped = found.source[0].manifest()["skipped"]
    rows = choose_rows(
        latents[: len(entries)],
        max_rows=config.max_rows,
        select_share=SELECT_SHARE if len(found.source) * len(found.target) > 1 else 0.0,
        seed=config.seed,
        skipped=skipped,
    )
    scored = _scored(latents[0], rows)
    log.info("%d samples, %d groups: %d rows scored, %d set aside for choosing a layer and pooling",
             rows.duplicates.rows, rows.duplicates.groups, len(rows.score), len(rows.select))  # fmt: skip
    full = [
        Representation.of(side, e.recipe.model["name"], e.recipe.layer, e.recipe.pooling, e.path.name, space)
        for side, e, space in zip(_sides(found), entries, latents, strict=False)
    ]
    spaces = [space.rows(rows.score) for space in full]
    grid = [(s, t) for s in range(len(found.source)) for t in range(len(found.source), len(entries))]
    measured = [_pair(s, t, full, spaces, rows, scored, config) for s, t in grid]
    best = max(range(len(measured)), key=lambda i: measured[i].selection_r2 or 0.0)
    source, target = (spaces[i] for i in grid[best])
    chosen, measured[best], arrays = describe(best, measured[best], source, target, scored, config)
    control_spaces = {name: values.values.double()[rows.score] for name, values in zip(controls, latents[len(entries) :], strict=True)}
    control_scores = control_results(control_spaces, source, target, scored, config)
    verdict = judge(
        measured[best],
        control_scores,
        chosen.attributes,
        chosen.mantel_within_label,
        len(set(scored.groups)),
        config.thresholds,
        required_controls=config.controls,
        study_values=study_values(full[grid[best][0]], full[grid[best][1]], max_rows=config.max_rows, seed=config.seed),
    )
    arrays |= _space_arrays(spaces, scored, config.seed)
    arrays |= _channels(spaces, len(found.source))
    arrays = _with_thumbnails(arrays, [latents[0].ids[i] for i in rows.score], opened[0] if opened else None)
    similar = [i for i, s in enumerate(spaces) if s.side == "source" and s.pooling == source.pooling]
    _, names = label_codes(scored.labels)
    results = Analysis(
        source=config.source.model.name,
        target=config.target.model.name,
        weights=_weights(entries),
        data={k: v for k, v in found.provenance.items()},
        labels={name: sum(label == name for label in scored.labels) for name in names},
        rows=len(rows.score),
        duplicates=rows.duplicates,
        spaces=[_space(space, scored, near, config.seed) for space, near in zip(spaces, rows.near, strict=True)],
        pairs=measured,
        layer_similarity=[[linear_cka(spaces[a].rotated, spaces[b].rotated) for b in similar] for a in similar],
        layer_similarity_spaces=similar,
        top_channels=[int(c) for c in np.argsort(-arrays["channels/variance"])[:10]] if "channels/variance" in arrays else [],
        chosen=chosen,
        controls=control_scores,
        verdict=verdict,
        settings=_settings(config),
        provenance=_provenance(found, entries),
    )
    return _with_warnings(results), arrays


def _sides(found: Found) -> list[str]:
    return ["source"] * len(found.source) + ["target"] * len(found.target)


def _scored(latents: Latents, rows: Rows) -> Scored:
    groups = [rows.groups[i] for i in rows.score]
    if len(set(groups)) < 20:
        raise ForesightError(
            f"{len(set(groups))} independent samples are left of {len(latents)}: at least 20 are needed to measure "
            "anything, and 100 for a verdict. Extract more data"
        )
    some = latents.take(rows.score)
    return Scored(some.labels, groups, some.attributes)


def _pair(
    s: int,
    t: int,
    full: Sequence[Representation],
    spaces: Sequence[Representation],
    rows: Rows,
    scored: Scored,
    config: AnalyzeConfig,
) -> Pair:
    source, target, seed = spaces[s], spaces[t], config.seed
    forward = pairs.probe(source, target, scored.groups, config.folds, seed)
    reverse = pairs.probe(target, source, scored.groups, config.folds, seed)
    pearson = torch.corrcoef(torch.stack([source.distances, target.distances]))[0, 1]
    selection = None
    if rows.select:
        groups = [rows.groups[i] for i in rows.select]
        folds = min(config.folds, len(set(groups)))
        selection = pairs.probe(full[s].rows(rows.select), full[t].rows(rows.select), groups, folds, seed).r2
    return Pair(
        source=s,
        target=t,
        cka=pairs.cka(source, target),
        cka_biased=pairs.cka_biased(source, target),
        r2=pairs.r2(forward),
        r2_reverse=reverse.r2,
        cosine=forward.cosine,
        cosine_reverse=reverse.cosine,
        spearman=Estimate(pairs.spearman(source, target), null=0.0),
        spearman_cosine=float(source.cosine_ranks @ target.cosine_ranks),
        pearson=float(pearson),
        neighborhood=[pairs.overlap(source, target, min(config.neighbors, len(source.values) - 2), seed)],
        selection_r2=selection,
    )


def _space(space: Representation, scored: Scored, near: int, seed: int) -> Space:
    clusters = cluster_scores(space, scored.labels, scored.groups, seed)
    size = dimensions(space)
    return Space(
        side=space.side,
        model=space.model,
        layer=space.layer,
        pooling=space.pooling,
        rows=len(space.values),
        dimension=space.values.shape[1],
        key=space.key,
        silhouette=clusters.silhouette,
        knn_accuracy=clusters.knn_accuracy,
        knn_chance=clusters.knn_chance,
        intra_inter_ratio=clusters.intra_inter_ratio,
        mle_dimension=size.mle,
        twonn_dimension=size.twonn,
        pca_dimensions=size.pca,
        effective_rank=size.effective_rank,
        participation_ratio=size.participation_ratio,
        top_feature_share=size.top_feature_share,
        near_duplicates=near,
    )


def _space_arrays(spaces: Sequence[Representation], scored: Scored, seed: int) -> dict[str, np.ndarray]:
    codes, _ = label_codes(scored.labels)
    arrays = {"label": codes.astype(np.int32)}
    shown = {space.pooling for space in spaces if space.side == "source"}
    pooling = "channel_mean" if "channel_mean" in shown else "flat"
    for i, space in enumerate(spaces):
        arrays[f"spectrum/{i}"] = spectrum(space)
        if space.side == "target" or space.pooling == pooling:
            arrays[f"tsne/{i}"] = tsne(space, seed)
    return arrays


def _channels(spaces: Sequence[Representation], first_target: int) -> dict[str, np.ndarray]:
    """The target's channels, where both poolings are cached: the mean's length is the number of channels."""
    by_pooling = {space.pooling: space for space in spaces[first_target:]}
    if {"flat", "channel_mean"} - by_pooling.keys():
        return {}
    flat, channels = by_pooling["flat"], by_pooling["channel_mean"].values.shape[1]
    if flat.model != "ltxv" or flat.values.shape[1] % channels:
        return {}
    return channel_arrays(flat, channels)


def _with_thumbnails(
    arrays: dict[str, np.ndarray], ids: Sequence[str], dataset: Dataset | None
) -> dict[str, np.ndarray]:
    """Replace the rows of the examples by indices into their thumbnails, where the pictures can be read."""
    from PIL import ImageOps

    names = ("neighborhood/query", "neighborhood/source", "neighborhood/target")
    if dataset is None:
        return {name: array for name, array in arrays.items() if name not in names}
    rows = sorted({int(row) for name in names for row in arrays[name].ravel()})
    at = {sample.id: i for i, sample in enumerate(dataset.samples)}
    pictures = [ImageOps.pad(dataset.image(at[ids[row]]), (64, 64), color="white") for row in rows]
    index = {row: i for i, row in enumerate(rows)}
    moved = {name: np.vectorize(index.__getitem__, otypes=[np.int32])(arrays[name]) for name in names}
    return {**arrays, **moved, "thumbnails": np.stack([np.asarray(p, dtype=np.uint8) for p in pictures])}


def _weights(entries: Sequence[Entry]) -> str:
    tiny = any(str(entry.recipe.model.get("checkpoint", "")).startswith("tiny:") for entry in entries)
    return "tiny" if tiny else "hub"


def _settings(config: AnalyzeConfig) -> dict[str, Any]:
    said = asdict(config)
    kept = ("seed", "max_rows", "permutations", "folds", "neighbors", "controls", "thresholds")
    return {**{key: said[key] for key in kept}, "select_share": SELECT_SHARE}


def _provenance(found: Found, entries: Sequence[Entry]) -> dict[str, Any]:
    packages = ("foresight-latents", "torch", "numpy", "scipy", "scikit-learn")
    return {
        "entries": [str(entry.path) for entry in entries],
        "recipes": [entry.recipe.to_dict() for entry in entries],
        "versions": {name: version(name) for name in packages},
        "extracted_with": found.source[0].manifest()["provenance"]["versions"],
    }


def _with_warnings(results: Analysis) -> Analysis:
    from dataclasses import replace

    said = []
    found = results.duplicates
    if results.weights == "tiny":
        said.append("weights=tiny: small checkpoints trained on drawn shapes; this says nothing about the real models")
    if found.exact + found.near > 0.01 * found.rows:
        said.append(f"{found.exact} exact and {found.near} near-duplicates among {found.rows} samples")
    if found.skipped:
        said.append(f"{len(found.skipped)} files could not be decoded and were left out")
    if found.groups < 300:
        said.append(f"only {found.groups} independent groups: intervals are wide; 300 and more are advised")
    for space in results.spaces:
        if space.top_feature_share > 0.2:
            said.append(f"{space.name}: one feature carries {space.top_feature_share:.0%} of the variance")
    return replace(results, warnings=said)
