"""The measures of every source space against every target space."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.inference.cka_null import cka_permutation_moments
from foresight_cli.inference.dependence import Dependence
from foresight_cli.inputs.representation import Representation
from foresight_cli.metrics import debiased_cka_standard_error, linear_cka, neighborhood, rsa
from foresight_cli.metrics.folds import Fold, grouped_folds
from foresight_cli.metrics.probe import LinearProbe, linear_probes
from foresight_cli.results import Estimate, Neighborhood, Pair, PermutationTest

SINGLE_SPLIT_GROUPS = 2000
"""With at least this many groups, one split tests enough of them: the other folds would only cost time."""


def folds_of(groups: Sequence[str], folds: int, seed: int) -> list[Fold]:
    """Return the folds of cross-validation by group; only the first if there are many groups."""
    splits = grouped_folds(list(groups), folds, seed)
    return splits if len(set(groups)) < SINGLE_SPLIT_GROUPS else splits[:1]


def measure(
    sources: Sequence[Representation],
    targets: Sequence[Representation],
    groups: Sequence[str],
    folds: Sequence[Fold],
    tests: Dependence,
    selection_r2: np.ndarray | None,
    *,
    k: int,
    seed: int,
    brief: bool = False,
) -> tuple[list[Pair], list[list[LinearProbe]]]:
    """Measure every cell, in the order ``[(s, t) for s in sources for t in targets]``; return the pairs and the probes.

    Args:
        sources: on the scored rows; measures of pairs of rows take one row of each group.
        targets: on the same rows.
        groups: of the scored rows.
        folds: of the probes.
        tests: of all cells.
        selection_r2: held-out R2 on the rows set aside for choosing among cells ``[S, T]``.
        k: number of neighbours.
        seed: to break ties.
        brief: leave what no criterion uses as NaN: the reverse direction and other distances.
    """
    probes = [linear_probes(s.space, [t.space for t in targets], groups=list(groups), folds=folds) for s in sources]
    cells = [
        _cell(
            (i, len(sources) + j),
            (source.independent, target.independent),
            probes[i][j],
            tests.tests(i, j),
            None if selection_r2 is None else float(selection_r2[i, j]),
            k,
            seed,
        )
        for i, source in enumerate(sources)
        for j, target in enumerate(targets)
    ]
    return (cells if brief else _both_ways(cells, sources, targets, groups, folds)), probes


def _both_ways(
    cells: Sequence[Pair],
    sources: Sequence[Representation],
    targets: Sequence[Representation],
    groups: Sequence[str],
    folds: Sequence[Fold],
) -> list[Pair]:
    """Return the cells with the measures that no criterion uses."""
    reverse = [linear_probes(t.space, [s.space for s in sources], groups=list(groups), folds=folds) for t in targets]
    completed = []
    for cell in cells:
        i, j = cell.source, cell.target - len(sources)
        x, y = sources[i].independent, targets[j].independent
        completed.append(
            replace(
                cell,
                r2_reverse=reverse[j][i].r2,
                cosine_reverse=reverse[j][i].cosine,
                spearman_cosine=cosine_spearman(x, y),
                pearson=_finite(float(torch.corrcoef(torch.stack([x.distances, y.distances]))[0, 1])),
            )
        )
    return completed


def _cell(
    index: tuple[int, int],
    spaces: tuple[Representation, Representation],
    forward: LinearProbe,
    tests: list[PermutationTest],
    selection_r2: float | None,
    k: int,
    seed: int,
) -> Pair:
    x, y = spaces
    tested = {test.measure: test for test in tests}
    return Pair(
        source=index[0],
        target=index[1],
        cka=cka(x, y, tested["cka"].p_corrected),
        cka_biased=cka_biased(x, y),
        r2=Estimate.of(forward.r2, forward.r2_standard_error, chance=0.0),
        r2_reverse=math.nan,
        cosine=forward.cosine,
        cosine_reverse=math.nan,
        spearman=Estimate(tested["spearman"].value, chance=0.0, p_value=tested["spearman"].p_corrected),
        spearman_cosine=math.nan,
        pearson=math.nan,
        neighborhood=[overlap(x, y, k, seed, tested["recall"].p_corrected)],
        selection_r2=selection_r2,
        tests=tests,
    )


def cosine_spearman(source: Representation, target: Representation) -> float | None:
    """Return the rank correlation of cosine distances, without the rows that are all zeros in a space.

    Rows of zeros have no direction. None if all rows of a space point the same way, or fewer than three are left.
    """
    flat = source.zero_rows | target.zero_rows
    if not flat.any():
        return _finite(float(source.cosine_ranks @ target.cosine_ranks))
    try:
        return rsa(source.values[~flat], target.values[~flat], distance="cosine")
    except ForesightError:
        return None


def _finite(value: float) -> float | None:
    """Return ``value``, or None for a correlation with distances that are all equal."""
    return value if math.isfinite(value) else None


def cka(source: Representation, target: Representation, p_value: float | None = None) -> Estimate:
    """Return debiased linear CKA with its jackknife interval; chance is 0."""
    x, y = source.space, target.space
    value = linear_cka(x, y)
    half = 1.96 * debiased_cka_standard_error(x, y)
    return Estimate(value, value - half, value + half, chance=0.0, p_value=p_value)


def cka_biased(source: Representation, target: Representation) -> Estimate:
    """Return the study's estimator, with its mean for rows that are not related."""
    x, y = source.space, target.space
    return Estimate(linear_cka(x, y, debiased=False), chance=cka_permutation_moments(x, y, debiased=False).mean)


def spearman(source: Representation, target: Representation) -> float:
    """Return the rank correlation of Euclidean distances."""
    return float(source.ranks @ target.ranks)


def overlap(
    source: Representation, target: Representation, k: int, seed: int, p_value: float | None = None
) -> Neighborhood:
    """Return the share of the k nearest neighbours of a row that are the same in both spaces."""
    scores = neighborhood(source.space, target.space, k=k, seed=seed)
    half = 1.96 * scores.standard_error
    recall = Estimate(
        scores.recall,
        max(scores.recall - half, 0.0),
        min(scores.recall + half, 1.0),
        chance=scores.expected,
        p_value=p_value,
    )
    return Neighborhood(k=k, recall=recall, jaccard=scores.jaccard, mrr=scores.mrr, expected=scores.expected)
