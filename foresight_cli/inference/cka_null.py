"""The null of CKA in closed form: its mean and standard deviation over all permutations."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from foresight_cli.metrics.cka import AlignmentSums, linear_sums
from foresight_cli.metrics.space import SpaceLike


@dataclass(frozen=True)
class PermutationMoments:
    """Mean and standard deviation of a statistic over all n! permutations of the rows of one side."""

    mean: float
    sd: float


def cka_permutation_moments(x: SpaceLike, y: SpaceLike, *, debiased: bool = True) -> PermutationMoments:
    """Null mean and sd of ``linear_cka`` of ``x [n, d1]`` and ``y [n, d2]`` over all permutations: exact, no draws.

    Debiased: mean 0 and variance 2 / (n (n - 3)), for any data. Biased: mean sqrt(PR_x PR_y)/(n - 1), with PR the
    participation ratios, and the variance of `product_moments`. For rows that are exchangeable one by one; for
    groups, draw permutations.

    Raises:
        ForesightError: a matrix is invalid or constant, or has fewer than 4 rows.

    Source: Kazi-Aoual et al. 1995. The debiased variance is their formula for matrices of zero diagonal.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> moments = cka_permutation_moments(rng.standard_normal((450, 9)), rng.standard_normal((450, 9)))
        >>> moments.mean, round(moments.sd, 5)
        (0.0, 0.00315)
    """
    sums = linear_sums(x, y, min_rows=4, measure="cka_permutation_moments")
    if debiased:
        sums.cka(debiased=True)  # raises if the debiased CKA is undefined
        return PermutationMoments(0.0, math.sqrt(2 / (sums.n * (sums.n - 3))))
    moments = product_moments(sums)
    norm = math.sqrt(sums.xx * sums.yy)
    return PermutationMoments(moments.mean / norm, moments.sd / norm)


def product_moments(sums: AlignmentSums) -> PermutationMoments:
    """Return mean and sd of <K, P L P'> over all permutations P, for centred Gram matrices K and L, n >= 4.

    With t = tr K, s = |K|^2, q = sum of K_ii^2, and the same of L, the mean is t_K t_L / (n - 1) and the variance
    ``2 a_K a_L / ((n-1)^2 (n+1) (n-2)) + b_K b_L / ((n+1) n (n-1) (n-2) (n-3))`` with a = (n-1) s - t^2 and
    b = n (n+1) q - (n-1) (t^2 + 2 s).

    Source: Kazi-Aoual et al. 1995.
    """
    n = sums.n
    traces, a, b = [], [], []
    for square, diagonal in ((sums.xx, sums.diagonal_x), (sums.yy, sums.diagonal_y)):
        trace = float(diagonal.sum())
        traces.append(trace)
        a.append((n - 1) * square - trace**2)
        b.append(n * (n + 1) * float(torch.dot(diagonal, diagonal)) - (n - 1) * (trace**2 + 2 * square))
    variance = 2 * a[0] * a[1] / ((n - 1) ** 2 * (n + 1) * (n - 2))
    variance += b[0] * b[1] / ((n + 1) * n * (n - 1) * (n - 2) * (n - 3))
    # Where the variance is 0 (a regular simplex, up to rounding), rounding may make it negative.
    return PermutationMoments(traces[0] * traces[1] / (n - 1), math.sqrt(max(variance, 0.0)))
