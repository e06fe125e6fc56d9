"""One writer at a time for an entry: a lock that the system takes away from a process that dies.

The cache is right without it, since any number of writers end in the same files. With it, two processes that were
asked for the same latents do not both compute them. Object stores have no locks: there writers agree without.
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

from foresight_cli.latents.atomic import cannot_write, make_folder
from foresight_cli.latents.remote import is_remote

NAME = ".lock"


@dataclass(frozen=True)
class Holder:
    """The process that holds an entry's lock; -1 and "" where it has not yet said."""

    pid: int
    host: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.host else "another process"


@contextmanager
def locked(folders: Iterable[Path], waiting: Callable[[Path, Holder], None]) -> Iterator[None]:
    """Hold the locks of all ``folders``, made if need be; ``waiting`` is told of each that somebody else holds.

    They are taken in the order of their names, so that two processes never wait for each other. On a file system
    without locks, or an object store, nothing is held.

    Raises:
        ForesightError: a folder cannot be written to.
    """
    with ExitStack() as held_files:
        for folder in sorted({folder for folder in folders if not is_remote(folder)}):
            while not _take(folder, held_files, waiting):
                pass  # whoever held it has deleted the folder, and the lock with it
        yield


def _take(folder: Path, held_files: ExitStack, waiting: Callable[[Path, Holder], None]) -> bool:
    """Lock ``folder``, made anew if it is gone; False if what was locked is not what lies there now."""
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
    """Who holds the lock of ``folder`` at this moment, without waiting; None where nobody does."""
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
    """Who held the lock of ``folder`` last, whether or not they still do."""
    try:
        said = json.loads((folder / NAME).read_bytes())
        return Holder(int(said["pid"]), str(said["host"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Holder(-1, "")
