"""The companion set: drawings whose attributes are known, for data that has none of its own.

Whether position and size survive a bridge can be measured only where they are known. Where the user's samples have no
attributes, the same two models' latents of ``data=shapes`` stand in: same checkpoints, layers and poolings.
"""

from __future__ import annotations

import shlex
from typing import Any

from foresight_cli.catalog import Found, complete_entries
from foresight_cli.data.subset import ONLY
from foresight_cli.latents import Entry
from foresight_cli.latents.recipe import canonical_json
from foresight_cli.latents.remote import cache_root
from foresight_cli.suggest.extract_again import extract_command
from foresight_cli.text_settings import shell_line

NO_COMPANION = (
    "latents that a file brings cannot be computed for drawn shapes: give attributes, as x and y, in the file itself"
)
"""Why :func:`companion_commands` has none to give."""


def companion(found: Found, pair: tuple[int, int], cache_dir: str) -> tuple[Entry, Entry] | None:
    """The latents of a pair's two models on ``data=shapes``, if the cache holds them over the same drawings; else None.

    Of several sets of drawings the largest is taken. The default variant alone counts: its every picture has all
    attributes, drawn independently of each other.

    Args:
        found: the entries of both sides on the user's data.
        pair: a source and a target, as indices of ``[*found.source, *found.target]``.
        cache_dir: root of the cache.
    """
    cached = [entry for entry in complete_entries(cache_root(cache_dir), quiet=True) if _drawn(entry.recipe.data)]
    source, target = (_by_drawings(cached, like) for like in _chosen(found, pair))
    common = sorted(source.keys() & target.keys(), key=lambda said: (-source[said].recipe.rows, said))
    return (source[common[0]], target[common[0]]) if common else None


def companion_commands(found: Found, pair: tuple[int, int], cache_dir: str) -> list[str] | None:
    """The two ``foresight extract`` commands that make the companion set; None where :data:`NO_COMPANION` says why.

    Arguments as of :func:`companion`.
    """
    commands = []
    for entry in _chosen(found, pair):
        command = extract_command(entry, cache_dir)
        if entry.recipe.model["name"] == "precomputed" or command is None:
            return None
        words = [word for word in shlex.split(command) if not word.startswith(("data=", "data."))]
        commands.append(shell_line([*words, "data=shapes"]))
    return commands


def _chosen(found: Found, pair: tuple[int, int]) -> tuple[Entry, Entry]:
    entries = [*found.source, *found.target]
    return entries[pair[0]], entries[pair[1]]


def _drawn(data: dict[str, Any]) -> bool:
    return (data.get("name"), data.get("variant")) == ("shapes", "default") and ONLY not in data


def _by_drawings(cached: list[Entry], like: Entry) -> dict[bytes, Entry]:
    """Of each set of drawings, the entry that ``like``'s model, layer and pooling made of it."""
    mine = like.recipe
    return {
        canonical_json(entry.recipe.data): entry
        for entry in cached
        if (entry.recipe.model, entry.recipe.layer, entry.recipe.pooling) == (mine.model, mine.layer, mine.pooling)
    }
