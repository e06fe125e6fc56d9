"""Intervals by resampling whole groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from foresight_cli.metrics.distances import round_to_ties, squareform
from foresight_cli.metrics.probe import SHARED_FIT
from foresight_cli.metrics.rsa import standard_scores

BOOTSTRAP_ROWS = 1000
"""With more rows than this, a sample of them is resampled, and the interval is scaled: errors fall as 1/sqrt(n)."""


def spearman_interval(x: torch.Tensor, y: torch.Tensor, *, resamples: int = 200, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of the rank correlation of two spaces' distances, from rows drawn with replacement.

    Pairs of a row with itself are left out: their distance is 0 in both spaces, which would raise the correlation
    (.386 to .440 in a simulation). The rows must be independent: give one row of every group.

    Args:
        x: distances of all pairs i < j in one space, ``[n (n - 1) / 2]``, in the order of ``torch.triu_indices``.
        y: the same in the other space.
        resamples: number of draws.
        seed: seed of the draws.

    Source: Schuett et al. 2023, section on bootstrapping stimuli; percentile interval.
    """
    whole = round((1 + math.sqrt(1 + 8 * len(x))) / 2)
    n = min(whole, BOOTSTRAP_ROWS)
    rng = np.random.default_rng(seed)
    kept = np.sort(rng.permutation(whole)[:n])
    codes = [_square_codes(distances, whole, kept) for distances in (x, y)]
    estimates = [_ranks(square[np.triu_indices(n, 1)]) for square in codes]
    estimate = float(np.corrcoef(np.stack(estimates))[0, 1])
    drawn = []
    for _ in range(resamples):
        rows = rng.integers(0, n, n)
        i, j = np.triu_indices(len(rows), 1)
        a, b = rows[i], rows[j]
        kept = a != b
        ranks = [_ranks(square[a[kept], b[kept]]) for square in codes]
        drawn.append(float(np.corrcoef(np.stack(ranks))[0, 1]))
    centre = estimate if n == whole else float(torch.dot(*(standard_scores(d, "spearman") for d in (x, y))))
    low, high = centre + math.sqrt(n / whole) * (np.quantile(drawn, [0.025, 0.975]) - estimate)
    return float(low), float(high)


@dataclass(frozen=True)
class RatioBounds:
    """A ratio of two R2 with bounds from resampling: a two-sided 95 % interval, and one-sided bounds.

    Attributes:
        value: the ratio itself.
        low: lower end of the two-sided interval.
        high: upper end of the two-sided interval.
        lower: the ratio is above this with 95 % confidence.
        upper: the ratio is below this with ``1 - futility`` confidence.
    """

    value: float
    low: float
    high: float
    lower: float
    upper: float


def ratio_bounds(
    top: np.ndarray,
    bottom: np.ndarray,
    total: np.ndarray,
    groups: Sequence[str],
    *,
    resamples: int = 2000,
    futility: float = 0.05 / 3,
    folds: int = 5,
    seed: int = 0,
) -> RatioBounds:
    """Return ``R2_top / R2_bottom`` over held-out rows, with bounds from groups drawn with replacement.

    With several folds the bounds are widened about the estimate by sqrt(1.6): the fits share rows, which resampling of
    residuals does not account for.

    Args:
        top: squared residuals ``[n]`` of the numerator's predictions.
        bottom: squared residuals ``[n]`` of the denominator's predictions; zeros for a denominator of 1.
        total: squared distance of each row from the training mean ``[n]``.
        groups: group of each row.
        resamples: number of draws.
        futility: error level of ``upper``.
        folds: number of fits that the rows were held out from.
        seed: seed of the draws.
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
    widening = SHARED_FIT if folds > 1 else 1.0
    bounds = estimate + widening * (np.quantile(ratios, [0.025, 0.975, 0.05, 1 - futility]) - estimate)
    return RatioBounds(float(estimate), *(float(bound) for bound in bounds))


def _square_codes(condensed: torch.Tensor, n: int, kept: np.ndarray) -> np.ndarray:
    """Return the order of the distances of some rows as whole numbers, equal for ties, to rank without sorting."""
    distances = squareform(round_to_ties(condensed), n).numpy()[np.ix_(kept, kept)]
    upper = np.triu_indices(len(kept), 1)
    square = np.zeros((len(kept), len(kept)), dtype=np.int64)
    square[upper] = np.unique(distances[upper], return_inverse=True)[1]
    return square + square.T


def _ranks(codes: np.ndarray) -> np.ndarray:
    """Return the ranks of ``codes``, computed by counting; equal codes share the mean of their ranks."""
    counts = np.bincount(codes)
    ranks: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2)[codes]
    return ranks
