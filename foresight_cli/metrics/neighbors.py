"""Nearest neighbours of rows among the same rows, without the row itself; ties are broken at random, never by index."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from foresight_cli.metrics.distances import RowDistances, round_to_ties, tiles

_RANKED_AT_A_TIME = 64
"""Rows compared k times in a row: few enough to stay in the processor's cache."""


@dataclass(frozen=True)
class Neighbors:
    """The k nearest other rows of some query rows.

    Attributes:
        indices: row numbers ``[q, k]``, the nearest first.
        squared: squared Euclidean distances between prepared rows ``[q, k]``, rounded so that ties are ties.
    """

    indices: torch.Tensor
    squared: torch.Tensor


def nearest_neighbors(space: RowDistances, k: int, rng: np.random.Generator) -> Neighbors:
    """Return the k nearest other rows of every row of ``space``, ``[n, k]``."""
    parts = [nearest(masked_squared(space, rows), k, rng) for rows in tiles(len(space), len(space), space.rows.device)]
    return Neighbors(torch.cat([part.indices for part in parts]), torch.cat([part.squared for part in parts]))


def masked_squared(space: RowDistances, queries: torch.Tensor) -> torch.Tensor:
    """Return rounded squared distances ``[q, n]`` from rows ``queries`` to all rows, with infinity to themselves.

    Dropping the first sorted column instead would drop a duplicate and keep the row itself.
    """
    squared = space.squared(queries)
    squared[torch.arange(len(queries), device=squared.device), queries] = torch.inf
    return round_to_ties(squared)


def nearest(squared: torch.Tensor, k: int, rng: np.random.Generator) -> Neighbors:
    """Return the k smallest entries of each row of ``squared [q, n]``, in order; equal ones in random order.

    Otherwise two spaces with the same exact ties would agree perfectly only because of the order of their rows.
    """
    values, indices = squared.topk(k + 1, largest=False, sorted=True)
    tied = torch.nonzero((values[:, 1:] == values[:, :-1]).any(dim=1)).flatten()
    for row in tied.tolist():
        near = torch.nonzero(squared[row] <= values[row, k]).flatten()
        shuffled = near[torch.from_numpy(rng.permutation(len(near))).to(near.device)]
        indices[row] = shuffled[squared[row, shuffled].sort(stable=True).indices[: k + 1]]
    return Neighbors(indices[:, :k], values[:, :k])


def ranks_of(squared: torch.Tensor, columns: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Return the rank, from 1, of each entry ``squared[i, columns[i, j]]`` in row i ``[q, k]``; ties at random."""
    less, equal = torch.empty_like(columns), torch.empty_like(columns)
    for part in torch.split(torch.arange(len(squared), device=squared.device), _RANKED_AT_A_TIME):
        distances = squared[part]
        wanted = distances.gather(1, columns[part])
        for j, value in enumerate(wanted.T.unsqueeze(2)):
            less[part, j] = (distances < value).sum(dim=1)
            equal[part, j] = (distances == value).sum(dim=1)
    among = [rng.integers(0, column) for column in equal.T.cpu().numpy()]
    return less + 1 + torch.from_numpy(np.stack(among, axis=1)).to(less.device)
