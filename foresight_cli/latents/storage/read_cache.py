"""Local copies of the shards of an object store: each is fetched once, and checked each time it is used.

They are kept in ``$FORESIGHT_READ_CACHE`` (default ``~/.cache/foresight/shards``), named by the hash of their bytes, so
entries and stores share them. Over ``$FORESIGHT_READ_CACHE_GIB`` (default 50) the least recently used are deleted.
"""

from __future__ import annotations

import hashlib
import logging
import os
from contextlib import suppress
from pathlib import Path

from foresight_cli.errors import ForesightError
from foresight_cli.latents.storage.atomic import write_atomic
from foresight_cli.latents.storage.remote import download
from foresight_cli.machine.user_cache import user_cache

log = logging.getLogger(__name__)

GIB = 1 << 30
_since_sweep = GIB  # bytes fetched by this process since the folder was last measured


def fetch(path: Path, digest: str, *, again: bool = False) -> bytes:
    """Return the bytes of the shard ``path`` of a store, from this machine's disk if it has a copy.

    Args:
        path: the shard.
        digest: first 16 or all 64 digits of the SHA-256 of its bytes.
        again: read it from the store even if the disk has a copy.

    Returns:
        The bytes in the store. If they do not match ``digest``, they are read once more, since the fault may be in
        the transfer, and then returned as they are.

    Raises:
        FileNotFoundError: it is not on the store.
        ForesightError: the store cannot be read, or this machine's disk cannot be written.
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
    """Return the local path of the shard with that SHA-256, whether or not it exists."""
    return folder() / f"{digest[:16]}.safetensors"


def folder() -> Path:
    """Return the folder of the local copies."""
    if named := os.environ.get("FORESIGHT_READ_CACHE"):
        return Path(named).expanduser()
    return user_cache() / "shards"


def limit() -> int:
    """Return the bytes that the folder may take.

    Raises:
        ForesightError: the setting is not a number.
    """
    text = os.environ.get("FORESIGHT_READ_CACHE_GIB", "50")
    try:
        value = float(text)
        if value >= 0:
            return int(value * GIB)
    except (ValueError, OverflowError):
        pass
    raise ForesightError(f"FORESIGHT_READ_CACHE_GIB={text}: wanted a number of GiB, for example 50")


def _keep(kept: Path, data: bytes) -> None:
    global _since_sweep
    try:
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(kept, data)
    except (OSError, ForesightError) as error:
        raise ForesightError(
            f"cannot keep a copy of what was read from the store: {getattr(error, 'strerror', None) or error}. "
            "Name a folder with enough space: FORESIGHT_READ_CACHE=DIR"
        ) from None
    _since_sweep += len(data)
    if _since_sweep >= min(GIB, limit() // 8):
        _since_sweep = 0
        _sweep(kept.parent, kept)


def _sweep(place: Path, newest: Path) -> None:
    """Delete the least recently used files over the limit, but never ``newest``, which is about to be read."""
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
