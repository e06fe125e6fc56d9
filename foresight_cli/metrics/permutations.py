"""Permutations of rows that keep groups together: random draws, complete enumeration, and the p value."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from foresight_cli.metrics.validation import Labels, as_codes

Rows = npt.NDArray[np.int64]


def group_blocks(groups: Labels) -> list[Rows]:
    """Stack the rows of groups of one size: an array ``[groups of that size, size]`` per size, the smallest first.

    Groups of one size can change places; their rows move together, in order. Rows without groups are n groups of one.
    """
    codes = as_codes(groups, len(groups), "groups")
    by_size: dict[int, list[Rows]] = {}
    for rows in np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1]):
        by_size.setdefault(len(rows), []).append(rows)
    return [np.stack(by_size[size]) for size in sorted(by_size)]


def permute_blocks(blocks: Sequence[Rows], rng: np.random.Generator) -> Rows:
    """Return a random permutation of the rows ``[n]`` in which whole groups change places with groups of equal size."""
    return _place(blocks, [rng.permutation(len(block)) for block in blocks])


def permute_groups(groups: Labels, rng: np.random.Generator) -> Rows:
    """Return a random permutation ``[n]`` that moves whole groups: ``x[permutation]`` is one draw of the null.

    For many draws, call `group_blocks` once and `permute_blocks` for each draw. A group whose size no other group has
    stays in place; the test remains exact, with less power.

    Raises:
        ForesightError: a group is None or NaN.

    Source: exchangeability blocks, Winkler et al. 2014.

    Example:
        >>> import numpy as np
        >>> permute_groups(["a", "a", "b", "b", "c", "c"], np.random.default_rng(0)).tolist()
        [4, 5, 0, 1, 2, 3]
    """
    return permute_blocks(group_blocks(groups), rng)


def count_permutations(blocks: Sequence[Rows]) -> int:
    """Count the permutations that `permute_blocks` can draw."""
    return math.prod(math.factorial(len(block)) for block in blocks)


def all_permutations(blocks: Sequence[Rows]) -> Iterator[Rows]:
    """Yield every permutation that `permute_blocks` can draw, the identity first."""
    for orders in itertools.product(*(itertools.permutations(range(len(block))) for block in blocks)):
        yield _place(blocks, [np.array(order) for order in orders])


def movable_share(blocks: Sequence[Rows]) -> float:
    """Return the share of groups that have another group of equal size to change places with."""
    return sum(len(block) for block in blocks if len(block) > 1) / sum(len(block) for block in blocks)


def permutation_p_value(observed: float, null: npt.ArrayLike, *, rounding: float = 0.0) -> float:
    """Return (1 + number of null values >= observed) / (1 + number of null values): one-sided, never 0.

    A null value that differs from the observed one only by rounding (``rounding``, or a relative 1e-10 if that is more)
    counts as equal to it.

    Source: Phipson and Smyth 2010.

    Example:
        >>> permutation_p_value(3.0, [1.0, 2.0, 3.0, 4.0])
        0.6
    """
    values = np.asarray(null, dtype=np.float64)
    return float((1 + count_at_least(values, observed, rounding=rounding)) / (1 + len(values)))


def count_at_least(values: npt.NDArray[np.float64], observed: float, *, rounding: float = 0.0) -> int:
    """Count the ``values`` that are at least ``observed``, up to rounding."""
    return int((values >= observed - max(rounding, 1e-10 * max(abs(observed), 1e-10))).sum())


def _place(blocks: Sequence[Rows], orders: Sequence[Rows]) -> Rows:
    permutation = np.empty(sum(block.size for block in blocks), dtype=np.int64)
    for block, order in zip(blocks, orders, strict=True):
        permutation[block] = block[order]
    return permutation
