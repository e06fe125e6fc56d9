"""More on the one pair that the verdict is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from foresight_cli.config import AnalyzeConfig
from foresight_cli.experiments import bridge, pairs
from foresight_cli.experiments.chosen_arrays import arrays_of, neighbor_lists, square_distances
from foresight_cli.experiments.clusters import label_codes
from foresight_cli.experiments.representation import Representation
from foresight_cli.experiments.scored import Scored
from foresight_cli.inference.bootstrap import spearman_interval
from foresight_cli.inference.mantel_within import mantel_within_label
from foresight_cli.metrics import mantel_test, procrustes_disparity, rsa
from foresight_cli.results import Attribute, Category, ChosenPair, Estimate, Neighborhood, Pair

STUDY_KS = (1, 5, 10, 20, 50, 100)
LEAST_VALUES = 50
"""An attribute known of fewer rows is not judged."""


@dataclass(frozen=True)
class Description:
    """What is measured on the chosen pair alone.

    Attributes:
        chosen: the measures that no other pair has.
        pair: the pair, with an interval for Spearman and with more neighbourhood sizes.
        arrays: what its figures are drawn from, see :mod:`foresight_cli.results.arrays`.
        unmeasured: attributes that could not be measured, with the reason.
    """

    chosen: ChosenPair
    pair: Pair
    arrays: dict[str, np.ndarray]
    unmeasured: dict[str, str]


def describe(
    index: int, pair: Pair, source: Representation, target: Representation, rows: Scored, config: AnalyzeConfig
) -> Description:
    """Everything more on one pair.

    Args:
        index: of the pair among the analysis's pairs.
        pair: as measured in the grid.
        source: on the scored rows.
        target: on the scored rows.
        rows: the scored rows.
        config: seed, folds, permutations.
    """
    x, y, alone = source.independent, target.independent, rows.independent
    low, high = spearman_interval(x.distances, y.distances, seed=config.seed)
    probe = pairs.probe(source, target, rows.groups, config.folds, config.seed, predictions=True)
    attributes, unmeasured = _attributes(source, target, rows, config)
    chosen = ChosenPair(
        index=index,
        pc_r2=[float(v) for v in probe.r2_per_component[:50]],
        kendall=_kendall(x, y, config.seed),
        mantel=_mantel(x, y, config),
        mantel_within_label=_mantel_within(x, y, alone, config) if rows.labelled else None,
        procrustes=procrustes_disparity(x.rotated, y.rotated, components=100),
        categories=_categories(x, y, alone.labels, pair.neighborhood[0].k, config.seed),
        learning_curve=bridge.learning_curve(source, target, rows.groups, config.folds, config.seed),
        attributes=attributes,
    )
    more = replace(
        pair,
        spearman=Estimate(pair.spearman.value, low, high, chance=0.0),
        neighborhood=_neighborhoods(pair, x, y, config.seed),
    )
    return Description(
        chosen, more, arrays_of(source, target, alone.labels, probe.predictions, config.seed), unmeasured
    )


def _attributes(
    source: Representation, target: Representation, rows: Scored, config: AnalyzeConfig
) -> tuple[list[Attribute], dict[str, str]]:
    """Each attribute on the rows that have it; and those that cannot be measured, with the reason."""
    found: list[Attribute] = []
    unmeasured: dict[str, str] = {}
    for name, column in rows.attributes.items():
        there = torch.isfinite(column).nonzero().flatten().tolist()
        groups = [rows.groups[i] for i in there]
        if len(there) < LEAST_VALUES or len(set(groups)) < 2 * config.folds:
            unmeasured[name] = (
                f"{len(there)} of the {len(column)} scored samples have it, in {len(set(groups))} groups; "
                f"{LEAST_VALUES} samples in {2 * config.folds} groups are needed"
            )
        elif float(column[there].std()) == 0:
            unmeasured[name] = "it is the same for all samples"
        else:
            x, y = source.rows(there), target.rows(there)
            found.append(bridge.attribute_retention(x, y, name, column[there], groups, config.folds, config.seed))
    return found, unmeasured


def _neighborhoods(pair: Pair, source: Representation, target: Representation, seed: int) -> list[Neighborhood]:
    n = len(source.values)
    main = pair.neighborhood[0]
    others = [k for k in STUDY_KS if k != main.k and k < n - 1]
    return [main, *(pairs.overlap(source, target, k, seed) for k in others)]


def _kendall(source: Representation, target: Representation, seed: int) -> float:
    n = min(len(source.values), 2000)
    some = np.sort(np.random.default_rng(seed).permutation(len(source.values))[:n])
    return rsa(source.rotated[some], target.rotated[some], correlation="kendall")


def _mantel(source: Representation, target: Representation, config: AnalyzeConfig) -> Estimate:
    test = mantel_test(source.rotated, target.rotated, permutations=config.permutations, seed=config.seed)
    return Estimate(test.statistic, chance=test.null_mean, p_value=test.p_value)


def _mantel_within(source: Representation, target: Representation, rows: Scored, config: AnalyzeConfig) -> Estimate:
    """Rows without a category are a category of their own; one with a single row keeps that row in its place."""
    value, null, p = mantel_within_label(
        source.distances, target.distances, rows.categories, permutations=config.permutations, seed=config.seed
    )
    return Estimate(value, chance=null, p_value=p)


def _categories(
    source: Representation, target: Representation, labels: Sequence[str | None], k: int, seed: int
) -> list[Category]:
    codes, names = label_codes(labels)
    if len(names) < 2:
        return []
    shared = _shared_neighbors(source, target, k, seed)
    square = [square_distances(space) for space in (source, target)]
    found = []
    for code, name in enumerate(names):
        rows = np.flatnonzero(codes == code)
        i, j = np.triu_indices(len(rows), 1)
        distances = [s[rows[i], rows[j]] for s in square]
        enough = len(rows) >= 5 and all(float(d.std()) > 0 for d in distances)
        found.append(
            Category(
                label=name,
                rows=len(rows),
                recall=float(shared[rows].mean() / k),
                spearman=rsa(source.rotated[rows], target.rotated[rows]) if enough else None,
                source_distance=float(distances[0].mean()) if len(rows) > 1 else 0.0,
                target_distance=float(distances[1].mean()) if len(rows) > 1 else 0.0,
            )
        )
    return found


def _shared_neighbors(source: Representation, target: Representation, k: int, seed: int) -> np.ndarray:
    lists = neighbor_lists(source, target, k, seed)
    return np.array([len(set(a) & set(b)) for a, b in zip(*(part.tolist() for part in lists), strict=True)])
