"""Statistics of two spaces after a permutation of one, for many permutations, by indexing and adding alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch

from foresight_cli.metrics.permutations import Rows

# Up to this many rows a square of float64 stays in the processor's cache, and single precision is no faster.
DOUBLE_ROWS = 700
_BATCH = 8
# Numbers in a block of rows: few enough to be added up in single precision and to stay in the processor's cache.
_BLOCK = 1 << 16

ROUNDING = 1e-6
"""Largest error, in single precision, of a sum of products of two matrices of norm one."""


def permuted_products(
    fixed: Iterable[torch.Tensor], moved: Iterable[torch.Tensor], permutations: Iterable[Rows]
) -> torch.Tensor:
    """Return the sums over i, j of ``fixed[s][i, j] * moved[t][p_i, p_j]`` for each permutation p: ``[K, S, T]``.

    All matrices ``[n, n]`` are symmetric, so only blocks on and above the diagonal are indexed. Every moved matrix is
    indexed once per permutation, whatever the number of fixed ones, which share one product. Beyond 700 rows the
    numbers are float32: half the memory is moved, and a sum is exact to about `ROUNDING` times the product of the
    norms, a thousandth of the spread over permutations. If ``fixed`` and ``moved`` are iterators that make matrices on
    demand, they are held one at a time.
    """
    still, moving = ([_looked_up(matrix) for matrix in matrices] for matrices in (fixed, moved))
    n = len(still[0])
    step = n if n <= DOUBLE_ROWS else max(16, _BLOCK // n)
    blocks = [(start, min(start + step, n)) for start in range(0, n, step)]
    folded = [torch.stack([_fold(matrix, start, stop) for matrix in still]) for start, stop in blocks]
    parts = []
    for batch in _batches(permutations):
        orders = [torch.from_numpy(order).to(still[0].device) for order in batch]
        total = torch.zeros(len(still), len(orders) * len(moving), dtype=torch.float64, device=still[0].device)
        for (start, stop), block in zip(blocks, folded, strict=True):
            tiles = [
                matrix.index_select(0, order[start:stop]).index_select(1, order[start:]).flatten()
                for order in orders
                for matrix in moving
            ]
            total += block @ torch.stack(tiles).T
        parts.append(total.view(len(still), len(orders), len(moving)).permute(1, 0, 2))
    return torch.cat(parts)


def permuted_overlaps(
    fixed: Sequence[torch.Tensor], moved: Sequence[torch.Tensor], permutations: Iterable[Rows]
) -> torch.Tensor:
    """Count the neighbours in common, over all rows, after each permutation: ``[K, S, T]``.

    Row i of the fixed space is compared with row p_i of the moved one, and the neighbours of the latter are translated
    through p: no distance is computed again.

    Args:
        fixed: nearest neighbours ``[n, k]`` of each row in each fixed space, as row numbers.
        moved: the same in each space that moves.
        permutations: of the rows.
    """
    n = len(fixed[0])
    device = fixed[0].device
    masks = []
    for neighbors in fixed:
        mask = torch.zeros(n, n, dtype=torch.bool, device=device)
        masks.append(mask.scatter_(1, neighbors, True).flatten())
    rows = torch.arange(n, device=device)
    parts = []
    for permutation in permutations:
        order = torch.from_numpy(permutation).to(device)
        place = torch.empty_like(order).scatter_(0, order, rows)
        cells = [(rows[:, None] * n + place[neighbors[order]]).flatten() for neighbors in moved]
        parts.append([[int(mask[cell].sum()) for cell in cells] for mask in masks])
    return torch.tensor(parts, dtype=torch.float64)


def _looked_up(matrix: torch.Tensor) -> torch.Tensor:
    return matrix if len(matrix) <= DOUBLE_ROWS else matrix.float()


def _fold(matrix: torch.Tensor, start: int, stop: int) -> torch.Tensor:
    """Return the rows ``start:stop`` from the diagonal on, flattened, with entries right of the square doubled."""
    rows = matrix[start:stop, start:].clone()
    rows[:, stop - start :] *= 2
    return rows.flatten()


def _batches(permutations: Iterable[Rows]) -> Iterator[list[np.ndarray]]:
    source = iter(permutations)
    while batch := list(islice(source, _BATCH)):
        yield batch
