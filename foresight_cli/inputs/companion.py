"""The companion set: drawings with known attributes, for data without attributes.

It can be measured whether position and size survive a bridge only where they are known. If the user's samples have no
attributes, latents of ``data=shapes`` by the same two models are used instead: same checkpoints, layers and poolings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from foresight_cli.config import AnalyzeConfig
from foresight_cli.inputs.joined import CompanionSet, SampleTable
from foresight_cli.inputs.representation import Representation
from foresight_cli.inputs.split import choose_rows
from foresight_cli.latents import Entry, join, load
from foresight_cli.latents.finding import complete_entries
from foresight_cli.latents.recipe import ONLY, canonical_json
from foresight_cli.latents.storage.remote import cache_root
from foresight_cli.machine.devices import usable_device


def companion(source: Entry, target: Entry, cache_dir: str) -> tuple[Entry, Entry] | None:
    """Find the latents of two models on the same ``data=shapes``; None if the cache does not have them.

    Of several sets of drawings the largest is taken. Only the default variant is used: each of its pictures has all
    attributes, drawn independently of each other.

    Args:
        source: an entry on the user's data.
        target: an entry on the user's data.
        cache_dir: root of the cache.
    """
    cached = [entry for entry in complete_entries(cache_root(cache_dir), quiet=True) if _drawn(entry.recipe.data)]
    x, y = (_by_drawings(cached, like) for like in (source, target))
    common = sorted(x.keys() & y.keys(), key=lambda data: (-x[data].recipe.rows, data))
    return (x[common[0]], y[common[0]]) if common else None


def companion_set(source: Entry, target: Entry, labels: Sequence[str], config: AnalyzeConfig) -> CompanionSet | None:
    """Find the latents of two models on drawn shapes, duplicates merged, ready to score; None if not cached.

    Args:
        source: an entry on the user's data.
        target: an entry on the user's data.
        labels: names of the two models.
        config: seed, row limit, device and cache.
    """
    entries = companion(source, target, config.cache_dir)
    if entries is None:
        return None
    latents = join(*(load(entry) for entry in entries))
    rows = choose_rows(
        [[side] for side in latents], max_rows=config.max_rows, select_share=0.0, seed=config.seed, skipped=[]
    )
    x, y = (
        Representation.of(side, label, entry, values, usable_device(config.device)).rows(rows.score, rows.one_of_each)
        for side, label, entry, values in zip(("source", "target"), labels, entries, latents, strict=True)
    )
    return CompanionSet(f"shapes ({len(rows.score)} drawings)", x, y, SampleTable.of_scored(latents[0], rows))


def _drawn(data: dict[str, Any]) -> bool:
    return (data.get("name"), data.get("variant")) == ("shapes", "default") and ONLY not in data


def _by_drawings(cached: list[Entry], like: Entry) -> dict[bytes, Entry]:
    """Return, for each set of drawings, the entry with the model, layer and pooling of ``like``."""
    wanted = like.recipe
    return {
        canonical_json(entry.recipe.data): entry
        for entry in cached
        if (entry.recipe.model, entry.recipe.layer, entry.recipe.pooling)
        == (wanted.model, wanted.layer, wanted.pooling)
    }
