"""E-Q1.4 to E-Q1.7 for one source space against one target space: the numbers of every cell of the grid."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from foresight_cli.config import AnalyzeConfig
from foresight_cli.experiments.representation import Representation
from foresight_cli.inference.permutation import cka_permutation_moments
from foresight_cli.metrics import (
    LinearProbe,
    debiased_cka_standard_error,
    linear_cka,
    linear_probe,
    neighborhood,
)
from foresight_cli.results import Estimate, Neighborhood, Pair


def measure(
    index: tuple[int, int],
    source: Representation,
    target: Representation,
    groups: Sequence[str],
    config: AnalyzeConfig,
    selection_r2: float | None,
) -> Pair:
    """Every number of one cell.

    Args:
        index: of source and target among the analysis's spaces.
        source: on the scored rows; measures of pairs of rows take one row of each group.
        target: likewise.
        groups: of the scored rows.
        config: folds, neighbours, seed.
        selection_r2: held-out R2 on the rows set aside for choosing among cells.
    """
    forward = probe(source, target, groups, config.folds, config.seed)
    reverse = probe(target, source, groups, config.folds, config.seed)
    x, y = source.independent, target.independent
    k = min(config.neighbors, len(x.values) - 2)
    return Pair(
        source=index[0],
        target=index[1],
        cka=cka(x, y),
        cka_biased=cka_biased(x, y),
        r2=r2(forward),
        r2_reverse=reverse.r2,
        cosine=forward.cosine,
        cosine_reverse=reverse.cosine,
        spearman=Estimate(spearman(x, y), chance=0.0),
        spearman_cosine=float(x.cosine_ranks @ y.cosine_ranks),
        pearson=float(torch.corrcoef(torch.stack([x.distances, y.distances]))[0, 1]),
        neighborhood=[overlap(x, y, k, config.seed)],
        selection_r2=selection_r2,
    )


def cka(source: Representation, target: Representation) -> Estimate:
    """E-Q1.7: debiased linear CKA with its jackknife interval; chance is 0."""
    x, y = source.rotated, target.rotated
    value = linear_cka(x, y)
    half = 1.96 * debiased_cka_standard_error(x, y)
    return Estimate(value, value - half, value + half, chance=0.0)


def cka_biased(source: Representation, target: Representation) -> Estimate:
    """The study's estimator, beside the mean it would have if the rows had nothing to do with each other."""
    x, y = source.rotated, target.rotated
    return Estimate(linear_cka(x, y, debiased=False), chance=cka_permutation_moments(x, y, debiased=False).mean)


def probe(
    source: Representation,
    target: Representation,
    groups: Sequence[str],
    folds: int,
    seed: int,
    *,
    predictions: bool = False,
) -> LinearProbe:
    """E-Q1.4: held-out ridge regression from source to target, no group on both sides of a split."""
    return linear_probe(
        source.values, target.rotated, groups=list(groups), folds=folds, seed=seed, predictions=predictions
    )


def r2(result: LinearProbe) -> Estimate:
    """The pooled held-out R2 of ``result``; predicting the mean scores 0."""
    return Estimate(result.r2, *result.r2_interval, chance=0.0)


def spearman(source: Representation, target: Representation) -> float:
    """E-Q1.5: rank correlation of Euclidean distances."""
    return float(source.ranks @ target.ranks)


def overlap(source: Representation, target: Representation, k: int, seed: int) -> Neighborhood:
    """E-Q1.6: how many of the k nearest neighbours of a row are the same in both spaces."""
    found = neighborhood(source.rotated, target.rotated, k=k, seed=seed)
    half = 1.96 * found.standard_error
    recall = Estimate(found.recall, max(found.recall - half, 0.0), min(found.recall + half, 1.0), chance=found.expected)
    return Neighborhood(k=k, recall=recall, jaccard=found.jaccard, mrr=found.mrr, expected=found.expected)
