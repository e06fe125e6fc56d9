"""What lies in a folder of the cache, on a disk or on an object store, with one look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import Any

from foresight_cli.latents.remote import is_remote


@dataclass(frozen=True)
class FileState:
    """A file: its bytes, when it was last written (seconds since 1970), and whether it is a link or another oddity."""

    size: int
    modified: float
    regular: bool = True


def states(folder: Path) -> Iterator[tuple[str, FileState]]:
    """The files and links in ``folder`` with their state, in the order of their names; folders count as oddities.

    Raises:
        OSError: the folder cannot be listed.
    """
    if is_remote(folder):
        yield from _on_store(folder)
        return
    for path in sorted(folder.iterdir()):
        try:
            state = path.lstat()
        except FileNotFoundError:  # a temporary file that has just got its name
            continue
        yield path.name, FileState(state.st_size, state.st_mtime, S_ISREG(state.st_mode))


def _on_store(folder: Any) -> Iterator[tuple[str, FileState]]:
    found = {PurePosixPath(row["name"]).name: row for row in folder.fs.ls(folder.path, detail=True)}
    for name, row in sorted(found.items()):
        yield name, FileState(int(row.get("size") or 0), _written(row), row["type"] == "file")


def _written(row: dict[str, Any]) -> float:
    """When an object was last written; each kind of store has a name and a type of its own for that."""
    times = (row.get(key) for key in ("LastModified", "updated", "last_modified", "created", "mtime"))
    written: Any = next((time for time in times if time is not None), 0.0)
    if isinstance(written, str):  # Google's
        written = datetime.fromisoformat(written)
    return float(written.timestamp() if isinstance(written, datetime) else written)


def folders_below(root: Path, levels: int) -> list[Path]:
    """Every folder ``levels`` below ``root``, in order, found level by level: on a store no other object is listed."""
    found = [root] if root.is_dir() else []
    for _ in range(levels):
        found = [path for folder in found for path in sorted(folder.iterdir()) if path.is_dir()]
    return found
