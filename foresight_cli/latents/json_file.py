"""JSON of the cache, read as what a stranger may have written: nothing in it is believed before it is checked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

SHARD_NAME = re.compile(r"shard-(\d{5})-of-(\d{5})\.([0-9a-f]{16})\.safetensors")

LARGEST = 1 << 30
"""Bytes: a manifest of 99,999 shards takes 20 MB; what it says of skipped samples may take more."""


def read_json(path: Path) -> Any:
    """What the file says.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON, nested beyond reason, or too large to be the cache's.
    """
    if (size := path.stat().st_size) > LARGEST:
        raise ValueError(f"it has {size} bytes; {LARGEST} are the most that foresight writes")
    try:
        return json.loads(path.read_bytes())
    except RecursionError:
        raise ValueError("it is nested beyond reason") from None


def shard_rows(said: Any, shards: int) -> bool:
    """Whether a manifest's list of shards is as foresight writes it: every number once, in order, and no path."""
    if not isinstance(said, list) or len(said) != shards:
        return False
    return all(_is_shard(row, number, shards) for number, row in enumerate(said))


def _is_shard(row: Any, number: int, shards: int) -> bool:
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("file", "sha256")):
        return False
    match = SHARD_NAME.fullmatch(row["file"])
    size = row.get("bytes")
    return (
        match is not None
        and (int(match[1]), int(match[2])) == (number, shards)
        and re.fullmatch(r"[0-9a-f]{64}", row["sha256"]) is not None
        and row["sha256"].startswith(match[3])
        and isinstance(size, int)
        and size >= 0
    )
