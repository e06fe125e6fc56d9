"""The files of a checkpoint on this machine that fix its numbers, and the hash over them."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable
from pathlib import Path

from foresight_cli.machine.hashing import sha256_of_each, unread_bytes

log = logging.getLogger(__name__)

SMALL_FILES = (".json", ".jinja", ".txt")
"""Suffixes of the files that loading reads beside the weights; nothing pickled, no code."""

UNREAD = ("generation_config.json",)
"""Files with those suffixes that change no latent: settings for sampling text."""

LARGE = 1_000_000_000
"""Bytes from which hashing takes long enough to log a line about it."""


def small_files(folder: Path, inside: Iterable[str]) -> list[Path]:
    """Return all files but the weights in the folders ``inside`` of a checkpoint."""
    paths = [path for place in inside for path in (folder / place).glob("*") if path.is_file()]
    return [path for path in paths if path.name.endswith(SMALL_FILES) and path.name not in UNREAD]


def hash_files(files: Iterable[Path]) -> str:
    """Return the SHA-256 over the names and bytes of ``files``."""
    total, start = hashlib.sha256(), time.monotonic()
    paths = sorted(set(files))
    unread = unread_bytes(paths)
    for path, digest in zip(paths, sha256_of_each(paths), strict=True):
        total.update(path.name.encode() + b"\0" + digest)
    if unread > LARGE:
        seconds = time.monotonic() - start
        log.info("hashed %.1f GB of weights in %.1f s, remembered until they change", unread / 1e9, seconds)
    return total.hexdigest()
