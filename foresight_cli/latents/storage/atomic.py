"""Atomic file writes: written under a temporary name, flushed to the disk, then renamed once."""

from __future__ import annotations

import os
import re
import socket
import time
import uuid
from pathlib import Path

from foresight_cli.errors import ForesightError
from foresight_cli.latents.storage import remote

TORN = re.compile(r"\.tmp-(?P<host>.+)-(?P<pid>\d+)-[0-9a-f]{8}")
"""Temporary names of :func:`write_atomic`; a process that is killed leaves such a file."""
DAY = 86400.0


def write_atomic(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``; a reader, or a kill at any moment, sees the old file, the new one, or none.

    Raises:
        ForesightError: the disk is full, the folder cannot be written to, or the store refuses.
    """
    if remote.is_remote(path):
        remote.put(path, data)
        return
    aside = path.with_name(f".tmp-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}")
    try:
        try:
            with aside.open("xb") as file:  # honours the umask, unlike safetensors.save_file (mode 0600)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from None


def writer_is_gone(name: str, modified: float) -> bool:
    """Tell whether the file called ``name``, last changed at ``modified``, was left by a process that has ended.

    A process of another machine cannot be asked, and counts as ended after a day.
    """
    match = TORN.fullmatch(name)
    if match is None:
        return False
    if match["host"] != socket.gethostname():
        return time.time() - modified > DAY
    try:
        os.kill(int(match["pid"]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def make_folder(path: Path) -> None:
    """Create ``path`` and its parents (an object store has no folders); raises as :func:`write_atomic`."""
    if remote.is_remote(path):
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from None


def cannot_write(path: Path, error: OSError) -> ForesightError:
    """Return the one-line error for a disk that refuses a write."""
    return ForesightError(
        f"cannot write {path}: {error.strerror or error}. Make room or pick another place with cache_dir=DIR; "
        "what is already written is kept, and the same command resumes from there"
    )


def sync_folder(folder: Path) -> None:
    """Flush ``folder``, so that renames and deletions in it survive a power cut."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
