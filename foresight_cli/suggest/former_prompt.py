"""Cached latents that an earlier version made with another prompt, and the line that deletes them."""

from __future__ import annotations

from collections.abc import Sequence

from foresight_cli.config.tree import as_override, cache_line
from foresight_cli.latents import Entry
from foresight_cli.latents.recipe import PROMPT


def of_former_prompt(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries of a checkpoint whose recipes lack a key of the prompt that another entry of it has.

    The prompt depends only on the checkpoint's files, so an entry in any layer and on any data shows that it changed.
    """
    keys: dict[tuple[object, ...], set[str]] = {}
    for entry in entries:
        keys.setdefault(_checkpoint(entry), set()).update(_prompt_keys(entry))
    return [entry for entry in entries if _prompt_keys(entry) < keys[_checkpoint(entry)]]


def former_prompt(side: str, former: Sequence[Entry], cache_dir: str) -> list[str]:
    """Return a line about the entries of :func:`of_former_prompt` that a side leaves out; an empty list if none.

    Args:
        side: ``source`` or ``target``.
        former: the entries.
        cache_dir: root of the cache.
    """
    if not former:
        return []
    pairs = [f"layer={entry.recipe.layer} pooling={entry.recipe.pooling}" for entry in former]
    keys = as_override("keys", [entry.path.name for entry in former])
    return [
        f"{side}={former[0].recipe.model['name']} {', '.join(pairs)}: left out, an earlier version made them with "
        f"another prompt. To delete them: {cache_line(f'gc --yes {keys}', cache_dir)}"
    ]


def _prompt_keys(entry: Entry) -> set[str]:
    return {key for key in PROMPT if key in entry.recipe.model}


def _checkpoint(entry: Entry) -> tuple[object, ...]:
    model = entry.recipe.model
    return tuple(model.get(key) for key in ("checkpoint", "revision", "sha256"))
