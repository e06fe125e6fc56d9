"""Intervals by resampling whole groups."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from foresight_cli.metrics.distances import round_to_ties

SHARED_FITS = math.sqrt(1.6)


def spearman_interval(x: torch.Tensor, y: torch.Tensor, *, resamples: int = 200, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the rank correlation of two spaces' distances, rows drawn with replacement.

    Pairs of a row with itself are left out: they are at distance 0 in both spaces, and would raise the correlation
    (.386 to .440 in a simulation). The rows must be independent: give one row of every group.

    Args:
        x: distances of all pairs i < j in one space, ``[n (n - 1) / 2]``, in the order of ``torch.triu_indices``.
        y: the same in the other.
        resamples: draws.
        seed: of the draws.

    Source: Schuett et al. 2023, section on bootstrapping stimuli; percentile interval.
    """
    n = round((1 + math.sqrt(1 + 8 * len(x))) / 2)
    codes = [_square_codes(distances, n) for distances in (x, y)]
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples):
        rows = rng.integers(0, n, n)
        i, j = np.triu_indices(len(rows), 1)
        a, b = rows[i], rows[j]
        kept = a != b
        ranks = [_ranks(square[a[kept], b[kept]]) for square in codes]
        drawn.append(float(np.corrcoef(np.stack(ranks))[0, 1]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def ratio_interval(
    top: np.ndarray,
    bottom: np.ndarray,
    total: np.ndarray,
    groups: Sequence[str],
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % interval of ``R2_top / R2_bottom`` over cross-validated rows, groups drawn with replacement.

    Widened about its estimate by sqrt(1.6): the fits of the folds share rows, which resampling residuals cannot see.

    Args:
        top: squared residuals ``[n]`` of the numerator's predictions.
        bottom: of the denominator's.
        total: squared distance of each row from the training mean ``[n]``.
        groups: of the rows.
        resamples: draws.
        seed: of the draws.
    """
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    sums = np.stack([np.bincount(codes, weights=v) for v in (top, bottom, total)])
    rng = np.random.default_rng(seed)
    g = sums.shape[1]
    weights = rng.multinomial(g, np.full(g, 1 / g), size=resamples).T
    drawn_top, drawn_bottom, drawn_total = sums @ weights
    ratios = (1 - drawn_top / drawn_total) / np.maximum(1 - drawn_bottom / drawn_total, 1e-12)
    whole = sums.sum(axis=1)
    estimate = (1 - whole[0] / whole[2]) / max(1 - whole[1] / whole[2], 1e-12)
    low, high = estimate + SHARED_FITS * (np.quantile(ratios, [0.025, 0.975]) - estimate)
    return float(low), float(high)


def _square_codes(condensed: torch.Tensor, n: int) -> np.ndarray:
    """The distances' order as whole numbers ``[n, n]``, equal for ties: a resample is then ranked without a sort."""
    square = np.zeros((n, n), dtype=np.int64)
    square[np.triu_indices(n, 1)] = np.unique(round_to_ties(condensed).numpy(), return_inverse=True)[1]
    return square + square.T


def _ranks(codes: np.ndarray) -> np.ndarray:
    """Ranks of ``codes``, equal ones sharing the mean of theirs, by counting."""
    counts = np.bincount(codes)
    ranks: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2)[codes]
    return ranks
