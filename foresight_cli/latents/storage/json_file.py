"""JSON files of the cache, read as untrusted input: everything in them is checked before use."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

SHARD_NAME = re.compile(r"shard-(\d{5})-of-(\d{5})\.([0-9a-f]{16})\.safetensors")

LARGEST = 1 << 30
"""Bytes: a manifest of 99,999 shards takes 20 MB; its list of skipped samples may take more."""


def read_json(path: Path) -> Any:
    """Return the parsed content of the file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not JSON, nested too deeply, or too large to be the cache's.
    """
    if (size := path.stat().st_size) > LARGEST:
        raise ValueError(f"it has {size} bytes; foresight writes at most {LARGEST}")
    try:
        return json.loads(path.read_bytes())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def shard_rows(listed: Any, shards: int) -> bool:
    """Check whether a manifest's list of shards is as foresight writes it: every number once, in order, and no path."""
    if not isinstance(listed, list) or len(listed) != shards:
        return False
    return all(_is_shard(row, number, shards) for number, row in enumerate(listed))


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
