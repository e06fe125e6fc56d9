"""The Mantel test: a permutation test of the correlation of two distance matrices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.distances import squareform
from foresight_cli.metrics.permutations import (
    Rows,
    all_permutations,
    count_at_least,
    count_permutations,
    group_blocks,
    movable_share,
    permutation_p_value,
    permute_blocks,
)
from foresight_cli.metrics.permuted_products import DOUBLE_ROWS, ROUNDING, permuted_products
from foresight_cli.metrics.rsa import CORRELATIONS, check_distances, correlate, standard_scores
from foresight_cli.metrics.space import Space, SpaceLike, as_spaces
from foresight_cli.metrics.validation import Labels, as_codes, check_choice


@dataclass(frozen=True)
class MantelTest:
    """The outcome of `mantel_test`.

    Attributes:
        statistic: the correlation of the distances, on the rows or group means that were permuted.
        p_value: one-sided (greater); (1 + #)/(K + 1) for random permutations, #/K for all of them.
        null_mean: mean of the permuted statistics.
        null_sd: standard deviation of the permuted statistics.
        permutations: number of permutations used, K.
        exact: True if every possible permutation was used.
        units: what was permuted: ``rows``, ``blocks`` (whole groups of one size) or ``group means``.
        null: the permuted statistics ``[K]``.
    """

    statistic: float
    p_value: float
    null_mean: float
    null_sd: float
    permutations: int
    exact: bool
    units: str
    null: npt.NDArray[np.float64] = field(repr=False, compare=False)


def mantel_test(
    x: SpaceLike,
    y: SpaceLike,
    *,
    distance: str = "euclidean",
    correlation: str = "pearson",
    permutations: int = 999,
    groups: Labels | None = None,
    seed: int = 0,
) -> MantelTest:
    """Permutation test of the correlation between the distances of ``x [n, d1]`` and those of ``y [n, d2]``.

    The rows of x are permuted against y. The test is one-sided: is the correlation greater than chance? All
    permutations are enumerated when there are at most ``permutations``. With ``groups`` (clips, duplicates) whole
    groups change places with groups of the same size. If fewer than half of the groups have such a partner, every group
    is first replaced by the mean of its rows, which is approximate. Permuting rows that are not exchangeable rejects a
    true null too often, up to always. Keeps two ``[n, n]`` matrices; time n^2 per permutation.

    Raises:
        ForesightError: a matrix is invalid, has fewer than 3 rows (or group means) or only equal distances; a group is
            missing; an option is impossible.

    Source: Mantel 1967; p value Phipson and Smyth 2010. Invalid under autocorrelation that groups do not express
    (Guillot and Rousset, arXiv 1112.0651).

    Example:
        >>> x = [[0, 0], [1, 0], [0, 2], [3, 1], [2, 4]]
        >>> y = [[0, 1], [1, 1], [1, 3], [4, 0], [2, 5]]
        >>> test = mantel_test(x, y)
        >>> round(test.statistic, 6), round(test.p_value * 120), test.exact
        (0.801011, 1, True)
    """
    check_choice(correlation, CORRELATIONS, "correlation")
    if permutations < 1:
        raise ForesightError(f"permutations={permutations}: wanted at least 1")
    first, second = as_spaces(x, y, measure="mantel_test", min_rows=3)
    first, second, blocks, units = _exchangeable(first, second, groups)
    if count_permutations(blocks) == 1:
        raise ForesightError("mantel_test: no two groups have the same size, so there is nothing to permute")
    exact = count_permutations(blocks) <= permutations
    draws = all_permutations(blocks) if exact else _random(blocks, permutations, seed)
    a = check_distances(first.distances(distance).condensed(), "x")
    b = check_distances(second.distances(distance).condensed(), "y")
    compared = _kendall if correlation == "kendall" else _product
    statistic, null = compared(a, b, len(first), correlation, draws)
    rounding = ROUNDING if len(first) > DOUBLE_ROWS else 0.0
    return MantelTest(
        statistic=statistic,
        p_value=count_at_least(null, statistic, rounding=rounding) / len(null)
        if exact
        else permutation_p_value(statistic, null, rounding=rounding),
        null_mean=float(null.mean()),
        null_sd=float(null.std()),
        permutations=len(null),
        exact=exact,
        units=units,
        null=null,
    )


def _exchangeable(x: Space, y: Space, groups: Labels | None) -> tuple[Space, Space, list[Rows], str]:
    """Return both spaces with the rows to permute, the blocks in which they move, and the name of these units."""
    n = len(x)
    if groups is None:
        return x, y, group_blocks(range(n)), "rows"
    codes = as_codes(groups, n, "groups")
    blocks = group_blocks(codes)
    if movable_share(blocks) >= 0.5:
        return x, y, blocks, "blocks"
    means = [Space(_group_means(space.values, codes), name=space.name) for space in (x, y)]
    if len(means[0]) < 3:
        raise ForesightError(f"groups has {len(means[0])} groups of different sizes: mantel_test wants at least 3")
    return means[0], means[1], group_blocks(range(len(means[0]))), "group means"


def _group_means(x: torch.Tensor, codes: Rows) -> torch.Tensor:
    index = torch.from_numpy(codes).to(x.device)
    sums = torch.zeros(int(codes.max()) + 1, x.shape[1], dtype=x.dtype, device=x.device).index_add_(0, index, x)
    return sums / torch.bincount(index)[:, None]


def _random(blocks: list[Rows], permutations: int, seed: int) -> Iterator[Rows]:
    rng = np.random.default_rng(seed)
    return (permute_blocks(blocks, rng) for _ in range(permutations))


def _product(
    a: torch.Tensor, b: torch.Tensor, n: int, correlation: str, draws: Iterable[Rows]
) -> tuple[float, npt.NDArray[np.float64]]:
    """Return the correlation, and its value after each permutation.

    A permutation changes neither mean, norm nor ranks: these are computed once, and a sum of products is left.
    """
    x, y = (standard_scores(values, correlation) for values in (a, b))
    fixed, moved = (map(squareform, [scores], [n]) for scores in (y, x))  # iterators: each is made on demand
    # Every pair appears in the square twice.
    return float(x @ y), permuted_products(fixed, moved, draws).flatten().cpu().numpy() / 2


def _kendall(
    a: torch.Tensor, b: torch.Tensor, n: int, correlation: str, draws: Iterable[Rows]
) -> tuple[float, npt.NDArray[np.float64]]:
    upper = torch.triu_indices(n, n, offset=1, device=a.device)
    square = squareform(a, n)
    orders = (torch.from_numpy(order).to(a.device) for order in draws)
    null = [correlate(square[order[upper[0]], order[upper[1]]], b, correlation) for order in orders]
    return correlate(a, b, correlation), np.array(null)
