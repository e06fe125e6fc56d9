"""The chosen pair on every row, however many there are: sums over shards that workers add up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch

from foresight_cli.latents import Entry
from foresight_cli.latents.slices import matched_slices
from foresight_cli.metrics.streaming import SpacePair, StreamedPair
from foresight_cli.metrics.streaming.probe import MAX_COLUMNS
from foresight_cli.results import Estimate, WholeSet

BATCH_BYTES = 400_000_000
"""Rows of one fold in float64 that are added up at once: enough for the matrix products to run at full speed."""


@dataclass(frozen=True)
class Slices:
    """Shards of two entries, and what becomes of each of their rows; it can be sent to another process.

    Attributes:
        source: entry of the source.
        target: entry of the target, over the same data.
        numbers: shards of the source.
        fold: of each row of each of these shards, -1 for rows that are left out; ``[n]`` int8 each.
        folds: how many.
        penalties: of the probe.
        seed: that the folds were drawn by.
    """

    source: Entry
    target: Entry
    numbers: Sequence[int]
    fold: Sequence[npt.NDArray[np.int8]]
    folds: int
    penalties: Sequence[float]
    seed: int

    def split(self, parts: int) -> list[Slices]:
        """The same in at most so many pieces, of neighbouring shards."""
        edges = np.linspace(0, len(self.numbers), min(parts, len(self.numbers)) + 1).round().astype(int).tolist()
        return [replace(self, numbers=self.numbers[a:b], fold=self.fold[a:b]) for a, b in pairwise(edges)]


def measurable(source_columns: int) -> bool:
    """Whether the sums of the probe fit: the source must not be too wide."""
    return source_columns <= MAX_COLUMNS


def measure_slices(slices: Slices, on_samples: Callable[[int], None]) -> SpacePair:
    """The sums over the rows of ``slices``; ``on_samples`` is told how many were read after each shard.

    Raises:
        ForesightError: a shard is damaged, the entries hold different samples, or latents are not finite.
    """
    found = SpacePair(slices.folds, slices.penalties, seed=slices.seed)
    waiting = [_Waiting() for _ in range(slices.folds)]  # rows as they are stored, a quarter of their size in float64
    fold_of = dict(zip(slices.numbers, slices.fold, strict=True))
    for number, x, y in matched_slices(slices.source, slices.target, slices.numbers):
        for fold, kept in enumerate(waiting):
            rows = torch.from_numpy(np.flatnonzero(fold_of[number] == fold))
            kept.append(x.index_select(0, rows), y.index_select(0, rows))
            if kept.bytes >= BATCH_BYTES:
                found.update(*kept.taken(), fold=fold)
        on_samples(len(x))
    for fold, kept in enumerate(waiting):
        if kept.bytes:
            found.update(*kept.taken(), fold=fold)
    return found


def merge_sums(one: SpacePair, other: SpacePair) -> SpacePair:
    """The sums over the rows of both."""
    one.merge_state(other)
    return one


class _Waiting:
    """Rows of one fold that are not added up yet; ``bytes`` is what they take in float64."""

    def __init__(self) -> None:
        self._rows: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.bytes = 0

    def append(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self._rows.append((x, y))
        self.bytes += 8 * (x.numel() + y.numel())

    def taken(self) -> tuple[torch.Tensor, torch.Tensor]:
        """All of them, ``[b, d1]`` and ``[b, d2]``, which wait no more."""
        x, y = (torch.cat(side) for side in zip(*self._rows, strict=True))
        self._rows, self.bytes = [], 0
        return x, y


def described(found: StreamedPair, left_out: int) -> WholeSet:
    """The measures as results."""
    probe = found.probe
    return WholeSet(
        rows=found.rows,
        left_out=left_out,
        r2=Estimate.of(probe.r2, probe.r2_standard_error, chance=0.0),
        cka=found.cka,
        cka_biased=found.cka_biased,
        source_pca_dimensions=_components(found.x_eigenvalues),
        target_pca_dimensions=_components(found.y_eigenvalues),
        source_effective_rank=_effective_rank(found.x_eigenvalues),
        target_effective_rank=_effective_rank(found.y_eigenvalues),
    )


def _components(shares: torch.Tensor) -> list[int]:
    held = shares.cumsum(dim=0)
    return [int((held < variance - 1e-12).sum()) + 1 for variance in (0.90, 0.95, 0.99)]


def _effective_rank(shares: torch.Tensor) -> float:
    return float(torch.special.entr(shares).sum().exp())
