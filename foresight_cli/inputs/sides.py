"""The two sides that ``analyze`` or ``adapt`` names, found in the cache, and the reading of their latents."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from foresight_cli.catalog.find import Found, find
from foresight_cli.catalog.reopen import data_behind
from foresight_cli.config import AdaptConfig, AnalyzeConfig, DataConfig
from foresight_cli.data import Dataset
from foresight_cli.data.sample_size import refuse_few_groups
from foresight_cli.data.subset import Subset
from foresight_cli.inputs.adapter_split import refuse_small_split
from foresight_cli.inputs.controls import control_latents
from foresight_cli.latents import Entry, Latents, RowReader, load
from foresight_cli.latents.left_out import left_out, say_left_out
from foresight_cli.latents.reading.loading import refuse_not_finite
from foresight_cli.latents.reading.sketch import Sketch

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Sides:
    """The cache entries of both sides, and what is behind them.

    Attributes:
        entries: the cache entries.
        pictures: the dataset and its settings; None if it is missing.
        lacking: samples that one of the sides left out: the reason by sample id.
    """

    entries: Found
    pictures: tuple[Dataset, DataConfig] | None
    lacking: Mapping[str, str]

    @classmethod
    def of(cls, config: AnalyzeConfig | AdaptConfig, entries: Found | None = None) -> Sides:
        """Find what ``config`` names, unless ``entries`` were looked up before; nothing is read yet.

        Raises:
            ForesightError: nothing is cached for a side, or there are too few groups.
            UsageError: the cache has two matches for the command line.
        """
        if entries is None:
            entries = find(config.cache_dir, config.source, config.target, config.data)
        for line in entries.older:
            log.warning("warning: %s", line)
        groups = refuse_few_groups(entries.source[0], entries.target[0])
        if isinstance(config, AdaptConfig):
            refuse_small_split(groups, config.split)
        say_left_out(entries.source, entries.target)
        return cls(entries, data_behind(entries, config.data), left_out(entries.source, entries.target))

    @property
    def members(self) -> list[tuple[str, str, Entry]]:
        """Side, display name of the model, and entry, for every entry; sources first."""
        sides = zip(("source", "target"), self.entries.labels, (self.entries.source, self.entries.target), strict=True)
        return [(side, label, entry) for side, label, entries in sides for entry in entries]

    @property
    def gigabytes(self) -> float:
        """Size of all latents, as they are stored."""
        return sum(int(shard["bytes"]) for _, _, entry in self.members for shard in entry.manifest()["shards"]) / 1e9

    @property
    def dataset(self) -> Dataset | None:
        """The pictures; None if they are missing."""
        return self.pictures[0] if self.pictures else None

    def divide(self, values: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
        """Divide values in the order of :attr:`members` into those of the sources and those of the targets."""
        return values[: len(self.entries.source)], values[len(self.entries.source) :]

    def controls(self, names: Sequence[str], cache_dir: str, ids: Sequence[str] | None = None) -> dict[str, Latents]:
        """Return the latents of controls on the samples ``ids``, None for all; nothing without the pictures."""
        if self.pictures is None:
            return {}
        dataset, settings = self.pictures
        if ids is not None and len(ids) < len(dataset.samples):
            dataset = Subset(dataset, ids)
        return control_latents(names, settings, cache_dir, dataset)


def in_memory(side: str, entry: Entry) -> Latents:
    """Return all rows of ``entry``; raises ForesightError if latents are not finite."""
    latents = load(entry)
    bad = (~torch.isfinite(latents.values).all(dim=1)).nonzero().flatten().tolist()
    refuse_not_finite(side, entry, latents.ids, bad)
    return latents


def on_disk(side: str, entry: Entry) -> tuple[RowReader, Sketch]:
    """Return a reader of the rows of ``entry``, and a sketch of them; raises ForesightError if latents are not finite.

    The bytes of every shard are checked, whichever rows are read later.
    """
    sketch = Sketch(entry.recipe.rows)
    reader = RowReader(entry, sketch.add)
    refuse_not_finite(side, entry, reader.latents.ids, sketch.bad)
    return reader, sketch
