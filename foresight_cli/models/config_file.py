"""The ``config.json`` of a checkpoint, and what libraries say of files that they cannot read, in one line."""

from __future__ import annotations

import json
from typing import Any

from foresight_cli.errors import ForesightError
from foresight_cli.models.weight_files import is_pointer


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
        raise ForesightError(f"config.json of {name} is no JSON ({reason})") from None
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else "a single value"
        raise ForesightError(f"config.json of {name} holds {kind}; wanted an object with the network's settings")
    return content


def in_one_line(error: Exception) -> str:
    """What a library says; the bare word that some exceptions hold comes with their name."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines[:2]) if lines and lines[0].endswith(":") else lines[0] if lines else ""
    plain = isinstance(error, OSError | ValueError | RuntimeError | ImportError) and text
    return text if plain else f"{type(error).__name__}: {text}" if text else type(error).__name__
