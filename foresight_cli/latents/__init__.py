"""Latents and their cache: recipes, shards, entries, and loading them back."""

from typing import TYPE_CHECKING, Any

from foresight_cli.latents.recipe import Recipe
from foresight_cli.latents.store import CorruptShard, Entry, entries

if TYPE_CHECKING:
    from foresight_cli.latents.finding import find
    from foresight_cli.latents.reading.loading import Latents, join, load
    from foresight_cli.latents.reading.rows import RowReader
    from foresight_cli.latents.shard import Shard

__all__ = ["CorruptShard", "Entry", "Latents", "Recipe", "RowReader", "Shard", "entries", "find", "join", "load"]


def __getattr__(name: str) -> Any:
    """Import the modules that need torch on first use, so that finding an entry in the cache stays fast."""
    from importlib import import_module

    modules = {"Latents": "reading.loading", "join": "reading.loading", "load": "reading.loading", "Shard": "shard"}
    modules |= {"RowReader": "reading.rows", "find": "finding"}
    if name not in modules:
        raise AttributeError(name)
    value = getattr(import_module(f"{__name__}.{modules[name]}"), name)
    globals()[name] = value
    return value
