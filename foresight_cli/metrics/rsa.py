"""Representational similarity analysis: the correlation of two sets of pairwise distances."""

from __future__ import annotations

import numpy as np
import scipy.stats
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.distances import round_to_ties
from foresight_cli.metrics.space import SpaceLike, as_spaces
from foresight_cli.metrics.validation import check_choice, check_count

CORRELATIONS = ("spearman", "pearson", "kendall")


def rsa(
    x: SpaceLike,
    y: SpaceLike,
    *,
    distance: str = "euclidean",
    correlation: str = "spearman",
    max_pairs: int | None = None,
    seed: int = 0,
) -> float:
    """Correlation of the distances between the rows of ``x [n, d1]`` and between those of ``y [n, d2]``.

    Uses all n (n - 1)/2 pairs, or ``max_pairs`` of them from random perfect matchings: each matching uses every row
    once, so its pairs are disjoint, and the cost is one distance per pair instead of n^2. The error of such a sample is
    about (1 - r^2)/sqrt(pairs). Distances are rounded to a relative 2e-10 before they are ranked, so that ties in exact
    arithmetic stay ties; Kendall is tau-b.

    Args:
        x: first rows.
        y: second rows.
        distance: ``euclidean``, ``sqeuclidean``, ``cosine`` or ``correlation``.
        correlation: ``spearman``, ``pearson`` or ``kendall`` (use at most about 2e6 pairs).
        max_pairs: None for all pairs, else at least 3.
        seed: seed of the matchings.

    Raises:
        ForesightError: a matrix is invalid, has fewer than 3 rows or only equal distances, or an option is impossible.

    Source: Kriegeskorte, Mur, Bandettini 2008. For its significance use `mantel_test`: distances are not independent.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).standard_normal((40, 8))
        >>> round(rsa(x, x @ np.diag([1, 1, 1, 1, 0, 0, 0, 0])), 3)
        0.538
    """
    check_choice(correlation, CORRELATIONS, "correlation")
    first, second = as_spaces(x, y, measure="rsa", min_rows=3)
    n = len(first)
    spaces = first.distances(distance), second.distances(distance)
    if max_pairs is None or max_pairs >= n * (n - 1) // 2:
        distances = (space.condensed() for space in spaces)  # a generator: the distances of one side at a time
    else:
        check_count(max_pairs, "max_pairs", low=3, high=n * (n - 1) // 2)
        left, right = random_matchings(n, max_pairs, seed)
        pairs = torch.from_numpy(left).to(first.device), torch.from_numpy(right).to(first.device)
        distances = (space.of_pairs(*pairs) for space in spaces)
    checked = (check_distances(values, name) for values, name in zip(distances, "xy", strict=True))
    if correlation == "kendall":
        a, b = checked
        return correlate(a, b, correlation)
    a, b = (standard_scores(values, correlation) for values in checked)
    return float(a @ b)


def random_matchings(n: int, pairs: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw ``pairs`` pairs of row indices, ``[pairs]`` each, from as many random perfect matchings as needed."""
    rng = np.random.default_rng(seed)
    half = n // 2
    shuffles = [rng.permutation(n) for _ in range(-(-pairs // half))]
    left = np.concatenate([shuffle[:half] for shuffle in shuffles])
    right = np.concatenate([shuffle[half : 2 * half] for shuffle in shuffles])
    return left[:pairs], right[:pairs]


def check_distances(distances: torch.Tensor, name: str) -> torch.Tensor:
    """Return ``distances`` unchanged, after a check that they differ.

    Raises:
        ForesightError: all are equal, so that a correlation with them is undefined.
    """
    rounded = round_to_ties(distances)
    if (rounded == rounded[0]).all():
        raise ForesightError(f"{name} has rows that are all equally far apart: a correlation of distances is 0/0 there")
    return distances


def correlate(a: torch.Tensor, b: torch.Tensor, correlation: str) -> float:
    """Return Pearson's r, Spearman's rho or Kendall's tau-b of two vectors ``[p]`` of distances."""
    if correlation == "kendall":
        rounded = (round_to_ties(values).cpu().numpy() for values in (a, b))
        return float(scipy.stats.kendalltau(*rounded).statistic)
    return float(standard_scores(a, correlation) @ standard_scores(b, correlation))


def standard_scores(distances: torch.Tensor, correlation: str) -> torch.Tensor:
    """Return the distances (``pearson``) or their ranks (``spearman``), centred and scaled to length one ``[p]``."""
    if correlation == "spearman":
        centred = average_ranks(round_to_ties(distances))
        centred -= centred.mean()
    else:
        centred = distances - distances.mean()
    return centred.div_(torch.linalg.vector_norm(centred))


def average_ranks(values: torch.Tensor) -> torch.Tensor:
    """Return ranks from 1 ``[p]``; equal values share the mean of their ranks."""
    if values.device.type == "cpu":  # NumPy sorts several times faster than torch
        order = torch.from_numpy(np.argsort(values.numpy()))
        ordered = values[order]
    else:
        ordered, order = values.sort()
    same = torch.zeros(len(values) + 1, dtype=torch.int8, device=values.device)  # 1: equal to the value before
    same[1:-1] = ordered[1:] == ordered[:-1]
    edges = same.diff()
    first, last = (edges == 1).nonzero().flatten(), (edges == -1).nonzero().flatten()  # of each run of equal values
    del ordered, same, edges
    ranks = torch.arange(1, len(values) + 1, dtype=torch.float64, device=values.device)
    if len(first):
        counts = last - first + 1
        steps = torch.arange(int(counts.sum()), device=values.device)
        within = steps - torch.repeat_interleave(counts.cumsum(0) - counts, counts)
        shared = (first + last).double() / 2 + 1
        ranks[torch.repeat_interleave(first, counts) + within] = torch.repeat_interleave(shared, counts)
    return torch.empty_like(ranks).scatter_(0, order, ranks)
