"""Pairs of rows of a source and a target, in memory or on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TypeAlias

import torch

from foresight_cli.latents import RowReader

Rows: TypeAlias = torch.Tensor | RowReader
BLOCK_BYTES = 1 << 26
"""Size of the blocks of rows for sums, in double precision, both sides together."""

READ_BYTES = 1 << 24
"""Bytes read from the disk at a time, both sides together."""

Batch: TypeAlias = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Pairs:
    """Pair i is row ``x_rows[i]`` of ``x`` and row ``y_rows[i]`` of ``y``.

    Attributes:
        x: source latents ``[n, d1]``, as stored.
        y: target latents ``[m, d2]``, as stored.
        x_rows: row of ``x`` for each pair ``[k]``.
        y_rows: row of ``y`` for each pair ``[k]``.
    """

    x: Rows
    y: Rows
    x_rows: torch.Tensor
    y_rows: torch.Tensor

    def __len__(self) -> int:
        return len(self.x_rows)

    @property
    def dims(self) -> tuple[int, int]:
        """Numbers of columns of both sides."""
        return self.x.shape[1], self.y.shape[1]

    @property
    def on_disk(self) -> bool:
        """True if rows are read from disk on demand."""
        return isinstance(self.x, RowReader) or isinstance(self.y, RowReader)

    def __getitem__(self, which: torch.Tensor) -> Batch:
        """Return the given pairs ``[b]``: ``x [b, d1]`` and ``y [b, d2]``, as stored."""
        return self.x[self.x_rows[which]], self.y[self.y_rows[which]]

    def part(self, which: torch.Tensor) -> Pairs:
        """Return only the given pairs, as another `Pairs`."""
        return replace(self, x_rows=self.x_rows[which], y_rows=self.y_rows[which])

    def mismatched(self, order: torch.Tensor) -> Pairs:
        """Return the source rows paired with other target rows: row i with that of pair ``order[i]``."""
        return replace(self, y_rows=self.y_rows[order])

    def whole(self) -> Batch:
        """Return all pairs, in double precision."""
        x, y = self[torch.arange(len(self))]
        return x.double(), y.double()

    def blocks(self) -> Iterator[Batch]:
        """Yield all pairs in order, a block at a time, in double precision."""
        rows = max(16, BLOCK_BYTES // (8 * sum(self.dims)))
        for x, y in self.batches(torch.arange(len(self)), rows):
            yield x.double(), y.double()

    def batches(self, order: torch.Tensor, size: int) -> Iterator[Batch]:
        """Yield the pairs in the given order, ``size`` at a time, as stored.

        From the disk, many batches are read at a time, sorted by place, and the operating system is asked to prefetch
        the next ones. A thread that reads ahead would wait for Python's lock at every row.
        """
        if not self.on_disk:
            yield from (self[part] for part in order.split(size))
            return
        row_bytes = sum(rows.shape[1] * rows.dtype.itemsize for rows in (self.x, self.y))
        at_once = order.split(max(1, READ_BYTES // (row_bytes * size)) * size)
        for part, following in zip_longest(at_once, at_once[1:]):
            if following is not None:
                self._expect(following)
            x, y = self[part]
            yield from zip(x.split(size), y.split(size), strict=True)

    def _expect(self, which: torch.Tensor) -> None:
        for rows, places in ((self.x, self.x_rows), (self.y, self.y_rows)):
            if isinstance(rows, RowReader):
                rows.expect(places[which])

    def on(self, device: torch.device) -> Pairs:
        """Move the pairs to ``device`` in single precision; unchanged for the CPU, or if the rows are on disk."""
        if self.on_disk or device.type == "cpu":
            return self
        x, y = (rows.float().to(device) for rows in self[torch.arange(len(self))])
        rows = torch.arange(len(self), device=device)
        return Pairs(x, y, rows, rows)


class ColumnMoments:
    """Means, variances and extremes of columns ``[d]`` that come in blocks, in double precision.

    Not a `MomentPart` of the streaming metrics: that one also adds up the products of the columns ``[d, d]``.

    Source: Chan, Golub and LeVeque 1983; the first row is subtracted, so a large offset costs no digits.
    """

    def __init__(self) -> None:
        self._count = 0

    def add(self, rows: torch.Tensor) -> None:
        """Add the rows ``[b, d]``, b at least 1."""
        if not self._count:
            self._origin: torch.Tensor = rows[0].clone()
            self._mean, self._squares, self._least, self._most = rows.new_zeros(4, rows.shape[1]).unbind()
        shifted = rows - self._origin
        n, total = len(rows), self._count + len(rows)
        variance, mean = torch.var_mean(shifted, dim=0, correction=0)
        least, most = torch.aminmax(shifted, dim=0)
        step = mean - self._mean
        self._squares += n * variance + step.square() * (self._count * n / total)
        self._mean += step * (n / total)
        self._least, self._most = torch.minimum(self._least, least), torch.maximum(self._most, most)
        self._count = total

    @property
    def mean(self) -> torch.Tensor:
        """Mean of each column."""
        return self._origin + self._mean

    @property
    def variance(self) -> torch.Tensor:
        """Variance of each column, over n; exactly 0 for a constant column."""
        return self._squares / self._count

    @property
    def farthest(self) -> torch.Tensor:
        """Largest distance of a value from the mean of its column."""
        return torch.maximum(self._most - self._mean, self._mean - self._least)


def moments(blocks: Iterable[Batch]) -> tuple[ColumnMoments, ColumnMoments]:
    """Compute the moments of both sides in one pass."""
    source, target = ColumnMoments(), ColumnMoments()
    for x, y in blocks:
        source.add(x)
        target.add(y)
    return source, target
