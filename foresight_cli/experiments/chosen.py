"""Further measures of the one pair that the verdict is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from foresight_cli.config import AnalyzeConfig
from foresight_cli.experiments import pairs
from foresight_cli.experiments.assessment import Assessment
from foresight_cli.experiments.clusters import label_codes
from foresight_cli.experiments.figure_arrays import neighbor_lists, square_distances
from foresight_cli.inference.bootstrap import spearman_interval
from foresight_cli.inputs.representation import Representation
from foresight_cli.metrics import mantel_test, procrustes_disparity, rsa
from foresight_cli.results import Category, ChosenPair, Estimate, Neighborhood, Pair

STUDY_KS = (1, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class Description:
    """Measures of the chosen pair alone.

    Attributes:
        chosen: the measures that no other pair has.
        pair: the pair, with an interval for Spearman and with more neighbourhood sizes.
    """

    chosen: ChosenPair
    pair: Pair


def describe(assessment: Assessment, config: AnalyzeConfig) -> Description:
    """Measure what only the pair of the verdict has, and the verdict does not use."""
    source, target = assessment.chosen
    pair, rows = assessment.pairs[assessment.index], assessment.scored
    x, y, alone = source.independent, target.independent, rows.independent
    low, high = spearman_interval(x.distances, y.distances, seed=config.seed)
    chosen = replace(
        assessment.evidence.chosen,
        kendall=_kendall(x, y, config.seed),
        mantel=_mantel(x, y, config),
        procrustes=procrustes_disparity(x.rotated, y.rotated, components=100),
        categories=_categories(x, y, alone.labels, pair.neighborhood[0].k, config.seed),
    )
    more = replace(
        pair,
        spearman=replace(pair.spearman, low=low, high=high),
        neighborhood=_neighborhoods(pair, x, y, config.seed),
    )
    return Description(chosen, more)


def _neighborhoods(pair: Pair, source: Representation, target: Representation, seed: int) -> list[Neighborhood]:
    n = len(source.values)
    main = pair.neighborhood[0]
    others = [k for k in STUDY_KS if k != main.k and k < n - 1]
    return [main, *(pairs.overlap(source, target, k, seed) for k in others)]


def _kendall(source: Representation, target: Representation, seed: int) -> float:
    n = min(len(source.values), 2000)
    some = np.sort(np.random.default_rng(seed).permutation(len(source.values))[:n])
    return rsa(source.values[some], target.values[some], correlation="kendall")


def _mantel(source: Representation, target: Representation, config: AnalyzeConfig) -> Estimate:
    test = mantel_test(source.space, target.space, permutations=config.permutations, seed=config.seed)
    return Estimate(test.statistic, chance=test.null_mean, p_value=test.p_value)


def _categories(
    source: Representation, target: Representation, labels: Sequence[str | None], k: int, seed: int
) -> list[Category]:
    codes, names = label_codes(labels)
    if len(names) < 2:
        return []
    shared = _shared_neighbors(source, target, k, seed)
    square = [square_distances(space) for space in (source, target)]
    categories = []
    for code, name in enumerate(names):
        rows = np.flatnonzero(codes == code)
        i, j = np.triu_indices(len(rows), 1)
        distances = [s[rows[i], rows[j]] for s in square]
        enough = len(rows) >= 5 and all(float(d.std()) > 0 for d in distances)
        categories.append(
            Category(
                label=name,
                rows=len(rows),
                recall=float(shared[rows].mean() / k),
                spearman=rsa(source.rotated[rows], target.rotated[rows]) if enough else None,
                source_distance=float(distances[0].mean()) if len(rows) > 1 else None,
                target_distance=float(distances[1].mean()) if len(rows) > 1 else None,
            )
        )
    return categories


def _shared_neighbors(source: Representation, target: Representation, k: int, seed: int) -> np.ndarray:
    lists = neighbor_lists(source, target, k, seed)
    return np.array([len(set(a) & set(b)) for a, b in zip(*(part.tolist() for part in lists), strict=True)])
