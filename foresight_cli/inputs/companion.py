"""The companion set: drawings with known attributes, for data without attributes.

It can be measured whether position and size survive a bridge only where they are known. If the user's samples have no
attributes, latents of ``data=shapes`` by the same two models are used instead: same checkpoints, layers and poolings.
"""

from __future__ import annotations

import shlex
from typing import Any

from foresight_cli.catalog.find import Found
from foresight_cli.config.text_settings import shell_line
from foresight_cli.data.subset import ONLY
from foresight_cli.latents import Entry
from foresight_cli.latents.finding import complete_entries
from foresight_cli.latents.recipe import canonical_json
from foresight_cli.latents.storage.remote import cache_root
from foresight_cli.suggest.extract_again import extract_command

NO_COMPANION = (
    "latents read from a file cannot be computed for drawn shapes: add columns such as x and y to attributes.csv or to "
    "the file of latents"
)
"""The reason why :func:`companion_commands` has no commands."""


def companion(entries: Found, pair: tuple[int, int], cache_dir: str) -> tuple[Entry, Entry] | None:
    """Find the latents of a pair's two models on the same ``data=shapes``; None if the cache does not have them.

    Of several sets of drawings the largest is taken. Only the default variant is used: each of its pictures has all
    attributes, drawn independently of each other.

    Args:
        entries: the entries of both sides on the user's data.
        pair: a source and a target, as indices of ``[*entries.source, *entries.target]``.
        cache_dir: root of the cache.
    """
    cached = [entry for entry in complete_entries(cache_root(cache_dir), quiet=True) if _drawn(entry.recipe.data)]
    source, target = (_by_drawings(cached, like) for like in _chosen(entries, pair))
    common = sorted(source.keys() & target.keys(), key=lambda data: (-source[data].recipe.rows, data))
    return (source[common[0]], target[common[0]]) if common else None


def companion_commands(entries: Found, pair: tuple[int, int], cache_dir: str) -> list[str] | None:
    """Return the two ``foresight extract`` commands that make the companion set; None for a :data:`NO_COMPANION`.

    Arguments as for :func:`companion`.
    """
    commands = []
    for entry in _chosen(entries, pair):
        command = extract_command(entry, cache_dir)
        if entry.recipe.model["name"] == "precomputed" or command is None:
            return None
        words = [word for word in shlex.split(command) if not word.startswith(("data=", "data."))]
        commands.append(shell_line([*words, "data=shapes"]))
    return commands


def _chosen(entries: Found, pair: tuple[int, int]) -> tuple[Entry, Entry]:
    both = [*entries.source, *entries.target]
    return both[pair[0]], both[pair[1]]


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
