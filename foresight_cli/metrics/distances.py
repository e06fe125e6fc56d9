"""Distances between the rows of a matrix, computed in tiles; true ties stay ties."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.validation import TILE_NUMBERS, centre, check_choice, row_list

DISTANCES = ("euclidean", "sqeuclidean", "cosine", "correlation")

TILE_PAIRS = 1 << 22
"""Distances computed at a time, 32 MiB of them: larger pieces do not fit in the processor's cache and take twice as
long."""

_MIRRORED = 512
"""Rows copied below the diagonal at a time."""

# Where |a|^2 + |b|^2 - 2ab falls below this share of |a|^2 + |b|^2 it is rounding error, not distance.
_ROUNDING = 1e-13


class RowDistances:
    """The distances between the rows of one matrix, computed a tile at a time.

    Every supported distance is a rising function of the squared Euclidean distance of *prepared* rows: the rows centred
    by column (Euclidean), scaled to length one (cosine, which is not invariant to translation: centre the data first
    if its mean has no meaning), or each centred by its mean and scaled to length one (correlation).

    Args:
        x: rows ``[n, d]``, float64.
        distance: ``euclidean``, ``sqeuclidean``, ``cosine`` or ``correlation``, as SciPy defines them.
        name: the name of ``x`` in error messages.
        gram: returns the inner products of the prepared rows ``[n, n]``, if these are kept; else each tile computes
            them.
        prepared: True if the rows of ``x`` are already prepared; they are then not copied.

    Attributes:
        rows: the prepared rows ``[n, d]``.
        norms: their squared lengths ``[n]``.

    Raises:
        ForesightError: the distance is unknown, or undefined for some rows (a zero row has no direction).
    """

    def __init__(
        self,
        x: torch.Tensor,
        distance: str,
        name: str,
        *,
        gram: Callable[[], torch.Tensor] | None = None,
        prepared: bool = False,
    ) -> None:
        check_choice(distance, DISTANCES, "distance")
        self.distance = distance
        self.rows = x if prepared else _prepare(x, distance, name)
        self._gram = gram
        self.norms = torch.linalg.vector_norm(self.rows, dim=1).square()

    def __len__(self) -> int:
        return len(self.rows)

    def squared(self, queries: torch.Tensor | slice) -> torch.Tensor:
        """Return squared Euclidean distances ``[q, n]`` from the prepared rows ``queries`` to all prepared rows."""
        scale = self.norms[queries, None] + self.norms
        if self._gram is None:
            squared = torch.addmm(scale, self.rows[queries], self.rows.T, alpha=-2)
        else:
            squared = torch.add(scale, self._gram()[queries], alpha=-2)
        return squared.masked_fill_(squared < _ROUNDING * scale, 0)

    def of_pairs(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Return the distances ``[p]`` between rows ``left [p]`` and rows ``right [p]``, from their differences."""
        step = max(1, TILE_NUMBERS // self.rows.shape[1])
        squared = [
            (self.rows[a] - self.rows[b]).square().sum(dim=1)
            for a, b in zip(torch.split(left, step), torch.split(right, step), strict=True)
        ]
        return self._from_squared(torch.cat(squared))

    def condensed(self) -> torch.Tensor:
        """Return the distances ``[n (n - 1) / 2]`` of all pairs i < j, in SciPy's ``pdist`` order."""
        return self._from_squared(self.condensed_squared())

    def condensed_squared(self) -> torch.Tensor:
        """Return squared Euclidean distances of the prepared rows ``[n (n - 1) / 2]``, in the same order."""
        n = len(self)
        squared = torch.empty(n * (n - 1) // 2, dtype=self.rows.dtype, device=self.rows.device)
        end = 0
        for rows in tiles(n, n, self.rows.device):
            for row, line in zip(rows.tolist(), self.squared(rows), strict=True):
                start, end = end, end + n - 1 - row
                squared[start:end] = line[row + 1 :]
        return squared

    def _from_squared(self, squared: torch.Tensor) -> torch.Tensor:
        if self.distance == "euclidean":
            return squared.sqrt()
        return squared if self.distance == "sqeuclidean" else squared / 2


def squareform(condensed: torch.Tensor, n: int) -> torch.Tensor:
    """Return the pairs i < j ``[n (n - 1) / 2]`` as a symmetric square ``[n, n]`` with a zero diagonal."""
    square = torch.zeros(n, n, dtype=condensed.dtype, device=condensed.device)
    end = 0
    for row in range(n - 1):
        start, end = end, end + n - 1 - row
        square[row, row + 1 :] = condensed[start:end]
    for rows in torch.arange(n).split(_MIRRORED):  # copying the whole matrix at once would double the memory
        start, stop = int(rows[0]), int(rows[-1]) + 1
        square[stop:, start:stop] = square[start:stop, stop:].T
        block = square[start:stop, start:stop]
        block += block.T.clone()
    return square


def tiles(n_queries: int, n_columns: int, device: torch.device) -> Iterator[torch.Tensor]:
    """Yield row indices 0 .. n_queries - 1 in pieces, so that a float64 piece by ``n_columns`` stays near 32 MiB."""
    step = max(1, TILE_PAIRS // n_columns)
    yield from torch.split(torch.arange(n_queries, device=device), step)


def round_to_ties(values: torch.Tensor) -> torch.Tensor:
    """Round non-negative float64 ``values`` to 32 bits of mantissa (a relative 2e-10); infinity stays infinity.

    Two distances that are equal in exact arithmetic differ in their last bits once computed, and ranks would turn that
    difference into an order. The rounded values are equal again.
    """
    dropped = 20
    bits = values.contiguous().view(torch.int64)
    rounded = bits.add(1 << (dropped - 1)).bitwise_right_shift_(dropped).bitwise_left_shift_(dropped)
    return rounded.view(torch.float64)


def _prepare(x: torch.Tensor, distance: str, name: str) -> torch.Tensor:
    if distance in ("euclidean", "sqeuclidean"):
        return centre(x)
    if distance == "correlation":
        shifted = x - x[:, :1]
        x = shifted - shifted.mean(dim=1, keepdim=True)
    norms = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    flat = torch.nonzero(norms.flatten() == 0).flatten().tolist()
    if flat:
        state = "zero" if distance == "cosine" else "constant"
        raise ForesightError(f"{name} is {state} in {row_list(flat)}: {distance} distance is undefined there")
    return x.div(norms)
