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


@dataclass(frozen=True)
class Moments:
    """Moments of columns ``[d]``, in double precision.

    Attributes:
        mean: mean of each column.
        variance: variance of each column, over n; exactly 0 for a constant column.
        farthest: largest distance of a value from the mean of its column.
    """

    mean: torch.Tensor
    variance: torch.Tensor
    farthest: torch.Tensor


def moments(blocks: Iterable[Batch]) -> tuple[Moments, Moments]:
    """Compute the moments of both sides in one pass.

    Source: Chan, Golub and LeVeque 1983; the first row is subtracted, so a large offset costs no digits.
    """
    sides: list[_Running] = []
    for batch in blocks:
        sides = sides or [_Running(rows[0]) for rows in batch]
        for running, rows in zip(sides, batch, strict=True):
            running.add(rows)
    source, target = (running.moments() for running in sides)
    return source, target


class _Running:
    def __init__(self, origin: torch.Tensor) -> None:
        self.origin, self.count = origin.clone(), 0
        self.mean, self.squares, self.least, self.most = (torch.zeros_like(origin) for _ in range(4))

    def add(self, rows: torch.Tensor) -> None:
        shifted = rows - self.origin
        n, total = len(rows), self.count + len(rows)
        variance, mean = torch.var_mean(shifted, dim=0, correction=0)
        least, most = torch.aminmax(shifted, dim=0)
        step = mean - self.mean
        self.squares += n * variance + step.square() * (self.count * n / total)
        self.mean += step * (n / total)
        self.least, self.most = torch.minimum(self.least, least), torch.maximum(self.most, most)
        self.count = total

    def moments(self) -> Moments:
        farthest = torch.maximum(self.most - self.mean, self.mean - self.least)
        return Moments(self.origin + self.mean, self.squares / self.count, farthest)
