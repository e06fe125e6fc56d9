"""Layers and poolings that are only cached on an older state of the data, and the line that extracts them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from foresight_cli.config import DataConfig
from foresight_cli.data.sample_size import NOUNS
from foresight_cli.latents import Entry
from foresight_cli.latents.recipe import canonical_json
from foresight_cli.suggest.cache_miss import UNKNOWN_DAY, Miss, Place, by_depth, day_of, extract_line, place_of
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
    noun = NOUNS.get(str(chosen[0].recipe.data["name"]), "pictures")
    now, then = chosen[0].recipe.rows, sorted({entry.recipe.rows for entry in lacking})
    pairs, commands = [], []
    for poolings, layers in _by_poolings(lacking).items():
        pairs.append(f"layer={','.join(layers)} pooling={','.join(poolings)}")
        miss = Miss(side.side, replace(side.space, layers=layers, poolings=poolings), [])
        commands.append(extract_line(miss, Place(data, None, cache_dir, chosen[:1])))
    return [
        f"{side.side}={side.space.model.name} {', '.join(pairs)}: left out, cached "
        f"on {' and '.join(f'{count:,}' for count in then)} {noun} of {shown_path(_path(chosen[0]))}{_as_of(lacking)}; "
        f"this run uses the {now:,} of a later state. To extract them on it: {' && '.join(commands)}"
    ]


def _by_poolings(entries: Sequence[Entry]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Return the layers of ``entries`` by the poolings that they have, so that no other pair is named."""
    poolings: dict[str, list[str]] = {}
    for entry in entries:
        poolings.setdefault(entry.recipe.layer, []).append(entry.recipe.pooling)
    layers: dict[tuple[str, ...], tuple[str, ...]] = {}
    for layer, names in poolings.items():
        key = tuple(sorted(set(names)))
        layers[key] = (*layers.get(key, ()), layer)
    return layers


def _as_of(entries: Sequence[Entry]) -> str:
    """Return the last day on which one of ``entries`` was completed; "" if none is known, as on some stores."""
    days = [day for entry in entries if (day := day_of(entry)) != UNKNOWN_DAY]
    return f" as of {max(days)}" if days else ""


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
