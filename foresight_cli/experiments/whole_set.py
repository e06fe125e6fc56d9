"""The chosen pair on every row of the data, from sums over shards that workers compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch

from foresight_cli.latents import Entry
from foresight_cli.latents.reading.slices import matched_slices
from foresight_cli.metrics.streaming import SpacePair, StreamedPair
from foresight_cli.metrics.streaming.probe import MAX_COLUMNS
from foresight_cli.results import Estimate, WholeSet

BATCH_BYTES = 400_000_000
"""Bytes of float64 rows of one fold that are added at once: enough for matrix products at full speed."""


@dataclass(frozen=True)
class Slices:
    """Shards of two entries, and the fold of each of their rows; it can be sent to another process.

    Attributes:
        source: entry of the source.
        target: entry of the target, over the same data.
        numbers: shards of the source.
        fold: of each row of each of these shards, -1 for rows that are left out; ``[n]`` int8 each.
        folds: number of folds.
        penalties: of the probe.
        seed: of the folds.
    """

    source: Entry
    target: Entry
    numbers: Sequence[int]
    fold: Sequence[npt.NDArray[np.int8]]
    folds: int
    penalties: Sequence[float]
    seed: int

    def split(self, parts: int) -> list[Slices]:
        """Return the same in at most ``parts`` pieces, of consecutive shards."""
        edges = np.linspace(0, len(self.numbers), min(parts, len(self.numbers)) + 1).round().astype(int).tolist()
        return [replace(self, numbers=self.numbers[a:b], fold=self.fold[a:b]) for a, b in pairwise(edges)]


def measurable(source_columns: int) -> bool:
    """Check whether the sums of the probe fit in memory: the source must not be too wide."""
    return source_columns <= MAX_COLUMNS


def measure_slices(slices: Slices, on_samples: Callable[[int], None]) -> SpacePair:
    """Return the sums over the rows of ``slices``; ``on_samples`` gets the number of rows read after each shard.

    Raises:
        ForesightError: a shard is damaged, the entries hold different samples, or latents are not finite.
    """
    sums = SpacePair(slices.folds, slices.penalties, seed=slices.seed)
    waiting = [_Waiting() for _ in range(slices.folds)]  # rows as they are stored, a quarter of their size in float64
    fold_of = dict(zip(slices.numbers, slices.fold, strict=True))
    for number, x, y in matched_slices(slices.source, slices.target, slices.numbers):
        for fold, kept in enumerate(waiting):
            rows = torch.from_numpy(np.flatnonzero(fold_of[number] == fold))
            kept.append(x.index_select(0, rows), y.index_select(0, rows))
            if kept.bytes >= BATCH_BYTES:
                sums.update(*kept.taken(), fold=fold)
        on_samples(len(x))
    for fold, kept in enumerate(waiting):
        if kept.bytes:
            sums.update(*kept.taken(), fold=fold)
    return sums


def merge_sums(sums: SpacePair, other: SpacePair) -> SpacePair:
    """Return the sums over the rows of both."""
    sums.merge_state(other)
    return sums


class _Waiting:
    """Rows of one fold that are not added yet; ``bytes`` is their size in float64."""

    def __init__(self) -> None:
        self._rows: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.bytes = 0

    def append(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self._rows.append((x, y))
        self.bytes += 8 * (x.numel() + y.numel())

    def taken(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return all rows, ``[b, d1]`` and ``[b, d2]``, and forget them."""
        x, y = (torch.cat(side) for side in zip(*self._rows, strict=True))
        self._rows, self.bytes = [], 0
        return x, y


def described(pair: StreamedPair, left_out: int) -> WholeSet:
    """Return the measures as results."""
    probe = pair.probe
    return WholeSet(
        rows=pair.rows,
        left_out=left_out,
        r2=Estimate.of(probe.r2, probe.r2_standard_error, chance=0.0),
        cka=pair.cka,
        cka_biased=pair.cka_biased,
        source_pca_dimensions=_components(pair.x_eigenvalues),
        target_pca_dimensions=_components(pair.y_eigenvalues),
        source_effective_rank=_effective_rank(pair.x_eigenvalues),
        target_effective_rank=_effective_rank(pair.y_eigenvalues),
    )


def _components(shares: torch.Tensor) -> list[int]:
    held = shares.cumsum(dim=0)
    return [int((held < variance - 1e-12).sum()) + 1 for variance in (0.90, 0.95, 0.99)]


def _effective_rank(shares: torch.Tensor) -> float:
    return float(torch.special.entr(shares).sum().exp())
