"""Measures of the chosen pair on every row of the cache, on this machine or on a Ray cluster.

The analysis itself may have used only a sample of the rows.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch

from foresight_cli.catalog.find import Found
from foresight_cli.config import AnalyzeConfig, RayConfig
from foresight_cli.experiments.dimension import PCA_SHARES
from foresight_cli.experiments.warnings import outside
from foresight_cli.latents import Entry
from foresight_cli.latents.left_out import left_out
from foresight_cli.latents.reading.slices import matched_slices
from foresight_cli.latents.samples import read_samples
from foresight_cli.machine.progress import ShardProgress
from foresight_cli.metrics.spectrum import effective_rank_of, pca_dimension_of
from foresight_cli.metrics.streaming import SpacePair, StreamedPair, hashed_folds
from foresight_cli.metrics.streaming.probe import MAX_COLUMNS
from foresight_cli.results import Analysis, Estimate, WholeSet

log = logging.getLogger(__name__)

FOLDS = 5
PENALTIES = tuple(np.logspace(-3, 3, 7))
"""Half as many as in the probe: with thousands more rows than columns, the optimum is flat."""

BATCH_BYTES = 400_000_000
"""Bytes of float64 rows of one fold that are added at once: enough for matrix products at full speed."""


@dataclass(frozen=True)
class AllSamples:
    """The samples from which the scored rows were drawn.

    Attributes:
        entries: the cache entries of both sides.
        group_of: the group of every sample that counts.
        left_out: number of samples that do not count.
        drawn: number of samples that were scored, or set aside for choosing a pair.
    """

    entries: Found
    group_of: Mapping[str, str]
    left_out: int
    drawn: int


def with_every_row(results: Analysis, samples: AllSamples, config: AnalyzeConfig) -> Analysis:
    """Add measurements of the chosen pair on every row; unchanged if all rows were scored or every_row=false."""
    if not config.every_row or samples.drawn >= len(samples.group_of):
        if isinstance(config.runner, RayConfig):
            log.info("runner=ray: not needed, %d rows were scored here", samples.drawn)
        return results
    pair, sources = results.chosen_pair, len(samples.entries.source)
    source, target = samples.entries.source[pair.source], samples.entries.target[pair.target - sources]
    whole = measure_every_row(source, target, results.chosen_source.dimension, samples, config)
    if whole is None:
        return results
    log.info("every row: R2 %.3f, CKA %.3f", whole.r2.value, whole.cka)
    return replace(results, whole=whole, warnings=[*results.warnings, *outside(results, whole)])


def measure_every_row(
    source: Entry, target: Entry, columns: int, samples: AllSamples, config: AnalyzeConfig
) -> WholeSet | None:
    """Measure R2, CKA and dimensions of a pair on every row, as sums over shards; None if the source is too wide.

    Args:
        source: entry of the source.
        target: entry of the target, over the same data.
        columns: number of columns of the source.
        samples: their groups, and how many are left out.
        config: runner and seed.

    Raises:
        ForesightError: a shard is damaged, or the runner cannot run.
    """
    if columns > MAX_COLUMNS:
        log.warning("warning: %d columns are too many for sums over every row: only drawn rows are measured", columns)
        return None
    slices = _slices(source, target, samples.group_of, config.seed)
    log.info("every row: %d samples in %d shards", len(samples.group_of), len(slices.numbers))
    begin, rows = time.perf_counter(), sum(map(len, slices.fold))
    with ShardProgress("every row", rows, {0: rows}) as progress:
        sums = _summed(slices, config, progress.on_samples)
    seconds = time.perf_counter() - begin
    log.info("every row: read and added up in %.1f s, %.0f samples/s", seconds, rows / seconds)
    return _described(sums.compute(), samples.left_out)


def _summed(slices: Slices, config: AnalyzeConfig, on_samples: Callable[[int], None]) -> SpacePair:
    if not isinstance(config.runner, RayConfig):
        return measure_slices(slices, on_samples)
    from foresight_cli.cluster.gather import gather

    return gather(measure_slices, merge_sums, slices.split, config.runner, on_samples)


def _slices(source: Entry, target: Entry, group_of: Mapping[str, str], seed: int) -> Slices:
    """Return every shard of ``source`` with the fold of each of its rows, by a hash of the row's group."""
    table = read_samples(source.path)
    skipped = left_out([source], [target])
    groups = list(group_of.values())
    fold_of = dict(zip(group_of, hashed_folds(groups, FOLDS, seed).tolist(), strict=True))
    folds = []
    for number in range(source.recipe.shards):
        rows = source.recipe.slice(number)
        ids = [sample for sample in table.ids[rows.start : rows.stop] if sample not in skipped]
        folds.append(np.array([fold_of.get(sample, -1) for sample in ids], dtype=np.int8))
    return Slices(source, target, list(range(source.recipe.shards)), folds, FOLDS, PENALTIES, seed)


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


def _described(pair: StreamedPair, left_out: int) -> WholeSet:
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
        source_effective_rank=float(effective_rank_of(pair.x_eigenvalues)),
        target_effective_rank=float(effective_rank_of(pair.y_eigenvalues)),
    )


def _components(shares: torch.Tensor) -> list[int]:
    return [int(pca_dimension_of(shares, variance)) for variance in PCA_SHARES]
