"""What to type after an extraction: the other model over the same data, or the analysis of both."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from foresight_cli.catalog import complete_entries
from foresight_cli.latents import Entry
from foresight_cli.latents.recipe import canonical_json
from foresight_cli.latents.remote import cache_root

TARGETS = ("ltxv", "autoencoder")
"""Models that are bridged to, where nothing else is said."""
CONTROLS = ("pixels", "histogram", "random_network")
"""Made by analyze for itself: no side of a bridge that a user has in mind."""


def after_extract(entries: Sequence[Entry], overrides: Sequence[str], cache_dir: str) -> str:
    """The next command.

    Args:
        entries: that were just extracted, of one model.
        overrides: as they were typed.
        cache_dir: root of the cache.
    """
    recipe = entries[0].recipe
    name, data = str(recipe.model["name"]), canonical_json(recipe.data)
    cached = complete_entries(cache_root(cache_dir), quiet=True)
    others = {str(e.recipe.model["name"]) for e in cached if canonical_json(e.recipe.data) == data}
    partner = next(iter(sorted(others - {name, *CONTROLS}, key=lambda other: (other not in TARGETS, other))), None)
    shared = [word for word in overrides if word.startswith(("weights=", "cache_dir="))]
    on_data = [word for word in overrides if word.startswith(("data=", "data."))]
    if partner is None:
        other = "qwen25vl" if name in TARGETS else "ltxv"
        wide = ["layer=all", "pooling=all"] if other == "qwen25vl" else ["pooling=all"]
        shards = [word for word in overrides if word.startswith("rows_per_shard=")]
        return shlex.join(["foresight", "extract", f"model={other}", *wide, *on_data, *shards, *shared])
    source, target = (partner, name) if name in TARGETS else (name, partner)
    sides = [f"source={source}"] * (source != "qwen25vl") + [f"target={target}"] * (target != "ltxv")
    if on_data and not any(word.startswith("data=") for word in on_data):  # analyze has no dataset until one is named
        on_data = [f"data={recipe.data['name']}", *on_data]
    return shlex.join(["foresight", "analyze", *sides, *on_data, *shared])
