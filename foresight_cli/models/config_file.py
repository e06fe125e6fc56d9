"""The ``config.json`` of a checkpoint, and what libraries say of files that they cannot read, in one line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from foresight_cli.errors import ForesightError
from foresight_cli.models.weight_files import is_pointer

MOST_BLOCKS = 2_000
"""Blocks of a network, by one key of its config: the deepest that were published have about 1,000."""
MOST_WIDE = 100_000_000
"""Size of one dimension: channels, words of a vocabulary, pixels of a side."""

_BLOCKS = re.compile(r"(?:\w+_)?(?:layers?|blocks?|depths?)(?:_per_block)?")
_WIDE = re.compile(
    r"(?:\w+_)?(?:sizes?|dims?|channels|heads|width|length|d_model|d_ff|d_kv|n_embd|experts|ratio|embeddings|positions"
    r"|tokens|frames)"
)


def parsed(text: str, name: str) -> dict[str, Any]:
    """The content of a ``config.json``.

    Args:
        text: of the file.
        name: of the checkpoint, for messages.

    Raises:
        ForesightError: it is no JSON object.
    """
    try:
        content = json.loads(text)
    except ValueError as error:
        pointer = "it is a git-lfs pointer: type git lfs pull in the folder"
        reason = pointer if is_pointer(text) else str(error) if text.strip() else "it is empty"
        raise ForesightError(f"config.json of {name} is not JSON ({reason})") from None
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else "a single value"
        raise ForesightError(f"config.json of {name} holds {kind}; wanted an object with the network's settings")
    _refuse_absurd(content, name)
    return content


def _refuse_absurd(content: dict[str, Any], name: str) -> None:
    """Refuse numbers that no network has: making one of a million blocks, even without memory, takes hours.

    Raises:
        ForesightError: the first such number, and what it may be at most.
    """
    for key, size in _sizes(content):
        last = key.rpartition(".")[2]
        most, what = (MOST_BLOCKS, "blocks") if _BLOCKS.fullmatch(last) else (MOST_WIDE, "")
        if size > most:
            wanted = f"{most:,} {what}".strip()
            raise ForesightError(
                f"config.json of {name} has {key}={size:,}: wanted at most {wanted}. Copy config.json from the "
                "checkpoint that it was made from"
            )


def _sizes(content: dict[str, Any], place: str = "") -> Iterator[tuple[str, float]]:
    """The settings that are a count of blocks or the size of a dimension; of a list of blocks, their sum."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _sizes(value, f"{place}{key}.")
        elif _BLOCKS.fullmatch(key) or _WIDE.fullmatch(key):
            numbers = [number for number in _flat(value) if isinstance(number, int | float)]
            if numbers:
                yield f"{place}{key}", sum(numbers) if _BLOCKS.fullmatch(key) else max(numbers)


def _flat(value: Any) -> Iterator[Any]:
    for entry in value if isinstance(value, list) else [value]:
        yield from _flat(entry) if isinstance(entry, list) else [entry]


def in_one_line(error: Exception) -> str:
    """What a library says; the bare word that some exceptions hold comes with their name."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines[:2]) if lines and lines[0].endswith(":") else lines[0] if lines else ""
    plain = isinstance(error, OSError | ValueError | RuntimeError | ImportError) and text
    return text if plain else f"{type(error).__name__}: {text}" if text else type(error).__name__
