"""Rows of a source and of a target that belong together, wherever they lie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TypeAlias

import torch

from foresight_cli.latents import RowReader

Rows: TypeAlias = torch.Tensor | RowReader
BLOCK_BYTES = 1 << 26
"""Blocks of rows that sums are made over take about so much in double precision, both sides together."""

READ_BYTES = 1 << 24
"""So much is read from the disk at once, both sides together."""

Batch: TypeAlias = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Pairs:
    """Pair i is row ``x_rows[i]`` of ``x`` and row ``y_rows[i]`` of ``y``.

    Attributes:
        x: source latents ``[n, d1]``, as stored.
        y: target latents ``[m, d2]``, as stored.
        x_rows: ``[k]``.
        y_rows: ``[k]``.
    """

    x: Rows
    y: Rows
    x_rows: torch.Tensor
    y_rows: torch.Tensor

    def __len__(self) -> int:
        return len(self.x_rows)

    @property
    def dims(self) -> tuple[int, int]:
        """Columns of both sides."""
        return self.x.shape[1], self.y.shape[1]

    @property
    def on_disk(self) -> bool:
        """Whether rows are read when they are asked for."""
        return isinstance(self.x, RowReader) or isinstance(self.y, RowReader)

    def __getitem__(self, which: torch.Tensor) -> Batch:
        """The given pairs ``[b]``: ``x [b, d1]`` and ``y [b, d2]``, as stored."""
        return self.x[self.x_rows[which]], self.y[self.y_rows[which]]

    def part(self, which: torch.Tensor) -> Pairs:
        """The given pairs alone."""
        return replace(self, x_rows=self.x_rows[which], y_rows=self.y_rows[which])

    def mismatched(self, order: torch.Tensor) -> Pairs:
        """The source's rows beside target rows of other pairs: row i meets that of ``order[i]``."""
        return replace(self, y_rows=self.y_rows[order])

    def whole(self) -> Batch:
        """Every pair, in double precision."""
        x, y = self[torch.arange(len(self))]
        return x.double(), y.double()

    def blocks(self) -> Iterator[Batch]:
        """Every pair in order, some at a time, in double precision."""
        rows = max(16, BLOCK_BYTES // (8 * sum(self.dims)))
        for x, y in self.batches(torch.arange(len(self)), rows):
            yield x.double(), y.double()

    def batches(self, order: torch.Tensor, size: int) -> Iterator[Batch]:
        """The pairs in the given order, ``size`` at a time, as stored.

        From the disk many batches are read at once, sorted by place, and the system is told of those that come next. A
        thread that reads ahead would wait for Python's lock at every row.
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
        """Held in single precision on ``device``, if it is not this machine's memory and the rows are not on disk."""
        if self.on_disk or device.type == "cpu":
            return self
        x, y = (rows.float().to(device) for rows in self[torch.arange(len(self))])
        here = torch.arange(len(self), device=device)
        return Pairs(x, y, here, here)


@dataclass(frozen=True)
class Moments:
    """Of columns ``[d]``, in double precision.

    Attributes:
        mean: their mean.
        variance: their variance, over n; exactly 0 for a constant column.
        farthest: the largest distance of a value from the mean.
    """

    mean: torch.Tensor
    variance: torch.Tensor
    farthest: torch.Tensor


def moments(blocks: Iterable[Batch]) -> tuple[Moments, Moments]:
    """Those of both sides, in one pass.

    Source: Chan, Golub and LeVeque 1983; values are taken from the first row, so a large offset costs no digits.
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
