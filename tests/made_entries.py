"""Cache entries like those of ``foresight extract``, made without a network, for tests that only look them up."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir

from foresight_cli.cli.overrides import for_hydra
from foresight_cli.config import ExtractConfig
from foresight_cli.config.reader import extract_config
from foresight_cli.config.tree import conf_dir
from foresight_cli.data import open_dataset
from foresight_cli.data.left_alone import LeftAlone
from foresight_cli.extraction.plan import planned
from foresight_cli.extraction.provenance import provenance_of
from foresight_cli.latents import Entry, Shard
from foresight_cli.latents.samples import write_samples
from foresight_cli.models import open_model


def made(
    root: Path | str, *words: str, value: float = 0.0, rows: torch.Tensor | None = None, sealed: bool = True
) -> Entry:
    """Make the entry of ``foresight extract WORDS`` with made-up latents.

    Every latent is ``value``, and all pictures are equal; or the latents are ``rows [n, d]``, and no two pictures are.
    """
    config = _config(words)
    dataset = open_dataset(config.data)
    (recipe,) = planned(config, dataset, open_model(config.model)).values()
    entry = Entry.create(Path(root), recipe)
    for number in range(recipe.shards):
        places = list(recipe.slice(number))
        ids = [dataset.samples[row].id for row in places]
        pixels = torch.zeros(len(ids), 32, dtype=torch.uint8)
        if rows is not None:
            pixels[:, :8] = torch.tensor(places)[:, None].view(torch.uint8)
        latents = torch.full((len(ids), 2), value) if rows is None else rows[places]
        entry.put(number, Shard(ids, latents, pixels))
    if sealed:
        entry.seal(provenance_of(config, "cpu", LeftAlone()))
    write_samples(entry.path, dataset.samples)
    return entry


@cache  # composing takes most of the time
def _config(words: tuple[str, ...]) -> ExtractConfig:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return extract_config(compose("extract", for_hydra("extract", list(words))))
