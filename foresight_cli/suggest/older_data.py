"""Layers and poolings that are only cached on an older state of the data, and the line that extracts them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from foresight_cli.config import DataConfig
from foresight_cli.latents import Entry
from foresight_cli.latents.recipe import canonical_json
from foresight_cli.suggest.cache_miss import NOUNS, Miss, Place, by_depth, day_of, extract_line, place_of
from foresight_cli.suggest.extract_again import settings_of
from foresight_cli.suggest.words import shown_path


def older_data(side: Miss, chosen: Sequence[Entry], data: DataConfig | None, cache_dir: str) -> list[str]:
    """Return a line for the latents that a side lacks since its files changed; an empty list if it lacks nothing.

    Args:
        side: the requested side, with every entry of its model.
        chosen: the entries that are used, all on one state of the data.
        data: settings of the dataset as typed; None to take those of the entries.
        cache_dir: root of the cache.
    """
    used = {(entry.recipe.layer, entry.recipe.pooling) for entry in chosen}
    lacking = [
        entry
        for entry in by_depth(side.same_model)
        if (entry.recipe.layer, entry.recipe.pooling) not in used
        and (side.space.layers is None or entry.recipe.layer in side.space.layers)
        and (side.space.poolings is None or entry.recipe.pooling in side.space.poolings)
        and _same_files(entry, chosen[0])
    ]
    if not lacking:
        return []
    layers = tuple(dict.fromkeys(entry.recipe.layer for entry in lacking))
    poolings = tuple(dict.fromkeys(entry.recipe.pooling for entry in lacking))
    noun = NOUNS.get(str(chosen[0].recipe.data["name"]), "pictures")
    now, then = chosen[0].recipe.rows, sorted({entry.recipe.rows for entry in lacking})
    newest = max(lacking, key=day_of)
    asked = Miss(side.side, replace(side.space, layers=layers, poolings=poolings), [])
    return [
        f"{side.side}={side.space.model.name} layer={','.join(layers)} pooling={','.join(poolings)}: left out, cached "
        f"on {' and '.join(f'{count:,}' for count in then)} {noun} of {shown_path(_path(chosen[0]))} as of "
        f"{day_of(newest)}; this run uses the {now:,} of a later state. To extract them on it: "
        + extract_line(asked, Place(data, None, cache_dir, chosen[:1]))
    ]


def _same_files(entry: Entry, other: Entry) -> bool:
    """Check whether two entries are on two states of the same files, read with the same settings."""
    first, second = entry.recipe.data, other.recipe.data
    if first.get("sha256") == second.get("sha256") or canonical_json(_settings(first)) != canonical_json(
        _settings(second)
    ):
        return False
    path = _path(entry)
    return path is not None and path == _path(other)


def _settings(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in ("count", "sha256")}


def _path(entry: Entry) -> str | None:
    settings = settings_of(entry)
    return None if settings is None else place_of(settings[1].get("path"))
