"""Two cached spaces as pairs of rows to train on, in memory or on disk, without duplicates and with groups."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from foresight_cli.catalog.find import Found, find
from foresight_cli.catalog.reopen import data_behind
from foresight_cli.config import AdaptConfig, DataConfig
from foresight_cli.data import Dataset
from foresight_cli.data.sample_size import LEAST_GROUPS, LEAST_ROWS, refuse_few_groups
from foresight_cli.errors import ForesightError
from foresight_cli.inputs.controls import control_latents
from foresight_cli.inputs.split import PAIR_ROWS, choose_rows
from foresight_cli.latents import Entry, Latents, RowReader, join, load
from foresight_cli.latents.left_out import left_out, say_left_out, without
from foresight_cli.latents.reading.loading import refuse_not_finite
from foresight_cli.latents.reading.sketch import Sketch
from foresight_cli.results import Duplicates
from foresight_cli.training.fit import Parts
from foresight_cli.training.pairs import Pairs, Rows

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Paired:
    """The data that adapters are trained and scored on.

    Attributes:
        source: cache entry of the source.
        target: cache entry of the target.
        pairs: every pair that is used.
        table: ids, labels and attributes of each pair; its ``values`` are not used.
        groups: group of each pair, near-duplicates merged.
        duplicates: the duplicates that were left out or merged.
        labels: labels of the two models.
        opened: the dataset behind the latents and its settings; None if it is missing.
    """

    source: Entry
    target: Entry
    pairs: Pairs
    table: Latents
    groups: list[str]
    duplicates: Duplicates
    opened: tuple[Dataset, DataConfig] | None
    labels: tuple[str, str]


def open_pairs(config: AdaptConfig, entries: Found | None = None) -> Paired:
    """Return the pairs of the spaces that ``config`` names.

    Args:
        config: the settings.
        entries: the cache entries for these settings, if they have been looked up already.

    Raises:
        ForesightError: nothing is cached for a side, the two sides hold different samples, or a row is not finite.
        UsageError: the cache has two matches for the command line.
    """
    if entries is None:
        entries = find(config.cache_dir, config.source, config.target, config.data)
    for line in entries.older:
        log.warning("warning: %s", line)
    source, target = entries.source[0], entries.target[0]
    refuse_small_split(refuse_few_groups(source, target), config.split)
    opened = data_behind(entries, config.data)
    thumbnails = control_latents(["pixels"], opened[1], config.cache_dir).values() if opened else ()
    streamed = sum(_bytes(entry) for entry in (source, target)) > config.memory_gb * 1e9
    stored: list[Rows] = []
    views: list[Latents] = []
    for side, entry in (("source", source), ("target", target)):
        sketch = Sketch(entry.recipe.rows)
        reader = RowReader(entry, sketch.add) if streamed else None
        latents = reader.latents if reader else load(entry)
        bad = sketch.bad if reader else (~torch.isfinite(latents.values).all(dim=1)).nonzero().flatten().tolist()
        refuse_not_finite(side, entry, latents.ids, bad)
        stored.append(reader if reader else latents.values)
        views.append(replace(latents, values=sketch.rows()) if reader else latents)
    if streamed:
        log.info("latents of %.2g GB are read from the cache as they are needed (memory_gb=%g)",
                 sum(_bytes(entry) for entry in (source, target)) / 1e9, config.memory_gb)  # fmt: skip
    lacking = left_out([source], [target])
    say_left_out([source], [target])
    x, y, *pixels = join(*(without(latents, lacking) for latents in (*views, *thumbnails)))
    everything = Pairs(stored[0], stored[1], *(_places(view, x.ids) for view in views))
    rows = choose_rows(
        [[x], [y], *([pixels] if pixels else [])],
        max_rows=len(x),
        select_share=0.0,
        seed=config.seed,
        skipped=list(lacking.items()),
    )
    return Paired(
        source=source,
        target=target,
        pairs=everything.part(torch.tensor(rows.score)),
        table=x.take(rows.score),
        groups=[rows.groups[i] for i in rows.score],
        duplicates=rows.duplicates,
        opened=opened,
        labels=entries.labels,
    )


def _places(view: Latents, ids: Sequence[str]) -> torch.Tensor:
    """Return the row numbers of the samples ``ids`` in ``view``."""
    place = {sample_id: row for row, sample_id in enumerate(view.ids)}
    return torch.tensor([place[sample_id] for sample_id in ids], dtype=torch.long)


@dataclass(frozen=True)
class SplitRows:
    """Numbers of the pairs in each part ``[.]``, and the group of each pair as a number ``[n]``."""

    train: torch.Tensor
    validation: torch.Tensor
    test: torch.Tensor
    codes: np.ndarray

    def parts(self, pairs: Pairs) -> Parts:
        """Return the pairs of each part."""
        return Parts(
            pairs.part(self.train),
            pairs.part(self.validation),
            pairs.part(self.test),
            self.codes[self.validation.numpy()],
        )


def refuse_small_split(groups: Sequence[str], shares: Sequence[float]) -> None:
    """Check, before anything is read, that each part of a split can get enough rows.

    Raises:
        ForesightError: a part would have fewer than `LEAST_ROWS` rows even if it drew the largest of ``groups``.
    """
    _, sizes = np.unique(np.asarray(groups), return_counts=True)
    largest = np.sort(sizes)[::-1]
    drawn = np.diff([0, *_edges(shares, len(sizes))[:2], len(sizes)])
    _refuse_small_part(shares, [int(largest[:count].sum()) for count in drawn], len(groups))


def _edges(shares: Sequence[float], groups: int) -> npt.NDArray[np.int64]:
    """Return the end of each part in the shuffled order of the groups."""
    return np.round(np.cumsum(shares) * groups).astype(np.int64)


def _refuse_small_part(shares: Sequence[float], sizes: Sequence[int], rows: int) -> None:
    for size, name in zip(sizes, ("training", "validation", "test"), strict=True):
        if size < LEAST_ROWS:
            raise ForesightError(
                f"split={[float(share) for share in shares]} leaves {size} {name} rows of {rows}: wanted {LEAST_ROWS} "
                "or more, so give it a larger share"
            )


def split_rows(groups: Sequence[str], shares: Sequence[float], seed: int) -> SplitRows:
    """Split into training, validation and test rows, by whole groups in a seeded order; at most `PAIR_ROWS` are tested.

    Raises:
        ForesightError: there are too few groups, or a part has fewer than 3 rows.
    """
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < LEAST_GROUPS:
        raise ForesightError(
            f"{len(names)} independent samples cannot be split three ways; at least {LEAST_GROUPS} are needed"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    edges = _edges(shares, len(names))
    part_of = np.empty(len(names), dtype=int)
    part_of[order] = np.searchsorted(edges, np.arange(len(names)), side="right")
    rows = [torch.from_numpy(np.flatnonzero(part_of[codes] == part)) for part in range(3)]
    _refuse_small_part(shares, [len(part) for part in rows], len(codes))
    place = np.empty(len(names), dtype=int)
    place[order] = np.arange(len(names))
    first = np.argsort(place[codes[rows[2].numpy()]], kind="stable")[:PAIR_ROWS]
    return SplitRows(rows[0], rows[1], rows[2][torch.from_numpy(np.sort(first))], codes)


def _bytes(entry: Entry) -> int:
    return sum(int(shard["bytes"]) for shard in entry.manifest()["shards"])
