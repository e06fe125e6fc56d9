"""Pairs of latents in memory, and the same pairs read from the files of a cache."""

from __future__ import annotations

from pathlib import Path

import torch

from foresight_cli.data import Sample
from foresight_cli.latents import Entry, RowReader, Shard
from foresight_cli.latents.recipe import Recipe
from foresight_cli.latents.samples import write_samples
from foresight_cli.training.pairs import Pairs


def entry_of(root: Path, values: torch.Tensor, *, name: str = "pixels", rows_per_shard: int = 32) -> Entry:
    """Return a complete entry that holds ``values``; row i is the sample ``s000i``."""
    recipe = Recipe(
        model={"name": name}, layer="final", pooling="flat", data={"name": "made"}, rows=len(values),
        rows_per_shard=rows_per_shard,
    )  # fmt: skip
    entry = Entry.create(root, recipe)
    for number in range(recipe.shards):
        rows = recipe.slice(number)
        ids = [f"s{row:04d}" for row in rows]
        entry.put(number, Shard(ids, values[list(rows)], torch.zeros(len(ids), 32, dtype=torch.uint8)))
    entry.seal({"data": {}, "versions": {}})
    write_samples(entry.path, [Sample(f"s{row:04d}", None, f"s{row:04d}") for row in range(len(values))])
    return entry


def drawn(n=300, d1=12, d2=7, seed=0, noise=1.0):
    """Draw ``x [n, d1]`` with columns of unequal scale and an offset, and ``y [n, d2]`` that partly depends on it."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d1, generator=generator) * torch.logspace(-1, 1, d1) + 5
    weight = torch.randn(d1, d2, generator=generator) / torch.logspace(-1, 1, d1)[:, None]
    y = (x - 5) @ weight + noise * torch.randn(n, d2, generator=generator)
    return x, y


def in_memory(x: torch.Tensor, y: torch.Tensor) -> Pairs:
    rows = torch.arange(len(x))
    return Pairs(x, y, rows, rows)


def on_disk(root: Path, x: torch.Tensor, y: torch.Tensor) -> Pairs:
    readers = [RowReader(entry_of(root, values, name=name)) for name, values in (("pixels", x), ("histogram", y))]
    rows = torch.arange(len(x))
    return Pairs(*readers, rows, rows)
