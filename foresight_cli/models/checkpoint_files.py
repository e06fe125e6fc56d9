"""The files of a checkpoint on this machine that fix its numbers, and the hash over them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from foresight_cli.hashing import sha256_of_each

SMALL_FILES = (".json", ".jinja", ".txt")
"""How the names of files end that loading reads besides the weights; nothing pickled, no code."""

UNREAD = ("generation_config.json",)
"""Files of those suffixes that change no latent: how text is sampled."""


def small_files(folder: Path, inside: Iterable[str]) -> list[Path]:
    """All files but the weights in the folders ``inside`` of a checkpoint."""
    paths = [path for place in inside for path in (folder / place).glob("*") if path.is_file()]
    return [path for path in paths if path.name.endswith(SMALL_FILES) and path.name not in UNREAD]


def hash_files(files: Iterable[Path]) -> str:
    """SHA-256 over the names and bytes of ``files``."""
    total = hashlib.sha256()
    paths = sorted(set(files))
    for path, digest in zip(paths, sha256_of_each(paths), strict=True):
        total.update(path.name.encode() + b"\0" + digest)
    return total.hexdigest()
