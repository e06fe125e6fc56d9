"""Shards of an object store on this machine's disk: each is fetched once, and checked each time it is used.

They lie under ``$FORESIGHT_READ_CACHE`` (default ``~/.cache/foresight/shards``) by the hash of their bytes, so entries
and stores share them. Over ``$FORESIGHT_READ_CACHE_GIB`` (default 50) the least recently used go.
"""

from __future__ import annotations

import hashlib
import logging
import os
from contextlib import suppress
from pathlib import Path

from foresight_cli.errors import ForesightError
from foresight_cli.latents.atomic import write_atomic
from foresight_cli.latents.remote import download

log = logging.getLogger(__name__)

GIB = 1 << 30
_since_sweep = GIB  # bytes fetched by this process since the folder was last measured


def fetch(path: Path, digest: str, *, again: bool = False) -> bytes:
    """The bytes of the shard ``path`` on a store, from this machine's disk where they are there.

    Args:
        path: the shard.
        digest: first 16 or all 64 digits of the SHA-256 of its bytes.
        again: read it from the store whatever lies on the disk.

    Returns:
        What the store gave, which does not match ``digest`` if it is damaged there: it is read twice then, since the
        fault may lie on the way.

    Raises:
        FileNotFoundError: it is not on the store.
        ForesightError: the store cannot be read, or this machine's disk not be written.
    """
    kept = place(digest)
    if not again:
        with suppress(OSError):
            data = kept.read_bytes()
            if hashlib.sha256(data).hexdigest().startswith(digest):
                os.utime(kept)
                return data
    for _ in range(2):
        data = download(path)
        if hashlib.sha256(data).hexdigest().startswith(digest):
            _keep(kept, data)
            break
    return data


def place(digest: str) -> Path:
    """Where the shard of that SHA-256 lies on this machine's disk, or would."""
    return folder() / f"{digest[:16]}.safetensors"


def folder() -> Path:
    """Where shards are kept."""
    if named := os.environ.get("FORESIGHT_READ_CACHE"):
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "foresight" / "shards"


def limit() -> int:
    """Bytes that the folder may take.

    Raises:
        ForesightError: the setting is no number.
    """
    said = os.environ.get("FORESIGHT_READ_CACHE_GIB", "50")
    try:
        value = float(said)
        if value >= 0:
            return int(value * GIB)
    except (ValueError, OverflowError):
        pass
    raise ForesightError(f"FORESIGHT_READ_CACHE_GIB={said}: wanted a number of GiB, as 50")


def _keep(kept: Path, data: bytes) -> None:
    global _since_sweep
    try:
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(kept, data)
    except (OSError, ForesightError) as error:
        raise ForesightError(
            f"cannot keep what was read from the store: {getattr(error, 'strerror', None) or error}. "
            "Say where there is room with FORESIGHT_READ_CACHE=DIR"
        ) from None
    _since_sweep += len(data)
    if _since_sweep >= min(GIB, limit() // 8):
        _since_sweep = 0
        _sweep(kept.parent, kept)


def _sweep(place: Path, newest: Path) -> None:
    """Delete the least recently used files over the limit; never the newest, which is about to be read."""
    states = []
    for entry in os.scandir(place):
        with suppress(OSError):  # another process sweeps too
            state = entry.stat()
            states.append((state.st_mtime, state.st_size, entry.path))
    total, most = sum(size for _, size, _ in states), limit()
    for _, size, name in sorted(states):
        if total <= most:
            return
        if name != str(newest):
            Path(name).unlink(missing_ok=True)
            total -= size
