"""The ``config.json`` of a checkpoint, and the errors of libraries about unreadable files, in one line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from foresight_cli.errors import ForesightError
from foresight_cli.models.weight_files import is_pointer

MOST_BLOCKS = 2_000
"""Most blocks of a network in one key of its config: the deepest published networks have about 1,000."""
MOST_WIDE = 100_000_000
"""Largest size of one dimension: channels, words of a vocabulary, pixels of a side."""

_BLOCKS = re.compile(r"(?:\w+_)?(?:layers?|blocks?|depths?)(?:_per_block)?")
_COUNTS = re.compile(r"(?:n|num)_\w+|(?:\w+_)?depths?|\w+_per_block")
"""Keys whose lists hold a number of blocks for each stage; those of the other keys hold the numbers of some layers."""
_WIDE = re.compile(
    r"(?:\w+_)?(?:sizes?|dims?|channels|heads|width|length|d_model|d_ff|d_kv|n_embd|experts|ratio|embeddings|positions"
    r"|tokens|frames)"
)
_NOT_BUILT = re.compile(
    r"(?:\w+_)?(?:max|min)_(?:new_)?(?:length|tokens)|\w*train(?:ing|ed)?_(?:\w+_)?(?:length|tokens)"
)
"""Limits of texts and facts of the training, for which nothing is built: tokenizers have a limit of 10^30."""


def parsed(text: str, name: str) -> dict[str, Any]:
    """Parse the text of a ``config.json``.

    Args:
        text: the file's text.
        name: the checkpoint's name, for messages.

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
    """Refuse numbers that no network has: building one with a million blocks takes hours, even without its weights.

    Raises:
        ForesightError: with the first such number, and the largest that is allowed.
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
    """Yield the settings that count blocks or size a dimension; for a list of counts, their sum."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _sizes(value, f"{place}{key}.")
        elif _BLOCKS.fullmatch(key) or (_WIDE.fullmatch(key) and not _NOT_BUILT.fullmatch(key)):
            numbers = [number for number in _flat(value) if isinstance(number, int | float)]
            summed = _BLOCKS.fullmatch(key) and _COUNTS.fullmatch(key)
            if numbers:
                yield f"{place}{key}", sum(numbers) if summed else max(numbers)


def _flat(value: Any) -> Iterator[Any]:
    for entry in value if isinstance(value, list) else [value]:
        yield from _flat(entry) if isinstance(entry, list) else [entry]


def in_one_line(error: Exception) -> str:
    """Return a library's error in one line, with the exception's name if the text alone may say too little."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines[:2]) if lines and lines[0].endswith(":") else lines[0] if lines else ""
    plain = isinstance(error, OSError | ValueError | RuntimeError | ImportError) and text
    return text if plain else f"{type(error).__name__}: {text}" if text else type(error).__name__
