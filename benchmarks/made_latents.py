"""Cache entries of two related spaces with a million rows, like those of ``foresight extract``: seeded, in shards."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir

from foresight_cli.cli.overrides import for_hydra
from foresight_cli.config.reader import extract_config
from foresight_cli.config.tree import conf_dir
from foresight_cli.latents import Entry, Recipe, Shard
from foresight_cli.latents.samples import write_samples
from foresight_cli.models import open_model

SOURCE, TARGET = 3584, 128
FACTORS = 64
ROWS_PER_SHARD = 4096
SEED = 20


@dataclass(frozen=True)
class Sample:
    """A row in a separate group."""

    id: str
    label: str | None = None
    attributes: dict[str, float] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """The row's id, so that no other row is in its group."""
        return self.id


def make(root: Path, rows: int) -> tuple[Entry, Entry]:
    """Make the entries of a source and a target over ``rows`` samples, and return them; existing shards are kept."""
    data = {"name": "precomputed", "sha256": hashlib.sha256(f"{SEED} {rows}".encode()).hexdigest(), "count": rows}
    samples: Sequence[Sample] = [Sample(f"row-{i:07d}") for i in range(rows)]
    entries = []
    for name in ("qwen25vl", "ltxv"):
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            config = extract_config(compose("extract", for_hydra("extract", [f"model={name}", "weights=tiny"]))).model
        model = open_model(config)
        recipe = Recipe(
            {**model.recipe("final"), **model.identity(reach_hub=False)},
            "final",
            "channel_mean",
            data,
            rows,
            ROWS_PER_SHARD,
        )
        entries.append(Entry.create(root, recipe))
    mix = torch.Generator().manual_seed(SEED)
    loadings = [torch.randn(FACTORS, width, generator=mix) for width in (SOURCE, TARGET)]
    for number in sorted({number for entry in entries for number in entry.missing()}):
        of_shard = entries[0].recipe.slice(number)
        noise = torch.Generator().manual_seed(SEED * 1_000_003 + number)
        factors = torch.randn(len(of_shard), FACTORS, generator=noise)
        ids = [samples[row].id for row in of_shard]
        pixels = torch.zeros(len(ids), 32, dtype=torch.uint8)
        pixels[:, :8] = torch.tensor(list(of_shard))[:, None].view(torch.uint8).view(len(ids), 8)  # no two are equal
        for entry, loading, spread in zip(entries, loadings, (2.0, 6.0), strict=True):
            latents = factors @ loading + spread * torch.randn(len(ids), loading.shape[1], generator=noise)
            entry.put(number, Shard(ids, latents.bfloat16(), pixels))
    for entry in entries:
        write_samples(entry.path, samples)
        if not entry.complete:
            entry.seal({"data": {"name": "precomputed", "path": "made"}, "model": {"name": "made"}, "versions": {}})
    return entries[0], entries[1]


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]))
