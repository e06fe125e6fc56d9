"""Lock on a cache entry: one writer at a time; the system releases the lock of a process that dies.

The cache is correct without it, since any number of writers end in the same files. With it, two processes that
need the same latents do not both compute them. Object stores have no locks; writers do without them there.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from foresight_cli.latents.storage.atomic import cannot_write, make_folder
from foresight_cli.latents.storage.remote import is_remote

NAME = ".lock"


@dataclass(frozen=True)
class Holder:
    """The process that holds an entry's lock; -1 and "" if it has not yet written its name."""

    pid: int
    host: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.host else "another process"


@contextmanager
def locked(folders: Iterable[Path], waiting: Callable[[Path, Holder], None]) -> Iterator[None]:
    """Hold the locks of all ``folders``, made if needed; call ``waiting`` for each lock that another process holds.

    They are taken in the order of their names, so that two processes never wait for each other. On a file system
    without locks, or an object store, nothing is held.

    Raises:
        ForesightError: a folder cannot be written to.
    """
    with ExitStack() as held_files:
        for folder in sorted({folder for folder in folders if not is_remote(folder)}):
            while not _take(folder, held_files, waiting):
                pass  # the process that held the lock has deleted the folder, and the lock with it
        yield


def _take(folder: Path, held_files: ExitStack, waiting: Callable[[Path, Holder], None]) -> bool:
    """Lock ``folder``, made again if it is gone; return False if the locked file has been replaced or deleted since."""
    path = folder / NAME
    make_folder(folder)
    try:
        file = held_files.enter_context(path.open("a+b"))
    except FileNotFoundError:
        return False
    except OSError as error:
        raise cannot_write(path, error) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        waiting(folder, last_holder(folder))
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:  # a network file system without a lock service
        return True
    try:
        if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return False
    except FileNotFoundError:
        return False
    file.truncate(0)
    file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
    file.flush()
    return True


def held(folder: Path) -> Holder | None:
    """Return the holder of the lock of ``folder``, without waiting; None if unlocked."""
    if is_remote(folder):
        return None
    try:
        with (folder / NAME).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return last_holder(folder)
    except OSError:
        return None
    return None


def last_holder(folder: Path) -> Holder:
    """Return the last holder of the lock of ``folder``, whether or not it still holds it."""
    try:
        values = json.loads((folder / NAME).read_bytes())
        return Holder(int(values["pid"]), str(values["host"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Holder(-1, "")
