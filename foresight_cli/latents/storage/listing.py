"""Listing of a cache folder on a disk or an object store, with one request per folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import Any

from foresight_cli.latents.storage.remote import is_remote


@dataclass(frozen=True)
class FileState:
    """A file: its bytes, when it was last written (seconds since 1970), and whether it is a regular file (no link)."""

    size: int
    modified: float
    regular: bool = True


def states(folder: Path) -> Iterator[tuple[str, FileState]]:
    """List the files, links and folders in ``folder`` with their state, sorted by name; only files are ``regular``.

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
    rows = {PurePosixPath(row["name"]).name: row for row in folder.fs.ls(folder.path, detail=True)}
    for name, row in sorted(rows.items()):
        yield name, FileState(int(row.get("size") or 0), _written(row), row["type"] == "file")


def _written(row: dict[str, Any]) -> float:
    """Return when an object was last written; each kind of store has another name and type for that field."""
    times = (row.get(key) for key in ("LastModified", "updated", "last_modified", "created", "mtime"))
    written: Any = next((time for time in times if time is not None), 0.0)
    if isinstance(written, str):  # Google's
        written = datetime.fromisoformat(written)
    return float(written.timestamp() if isinstance(written, datetime) else written)


def folders_below(root: Path, levels: int) -> list[Path]:
    """Return every folder ``levels`` below ``root``, sorted. Level by level: on a store no other objects are listed."""
    folders = [root] if root.is_dir() else []
    for _ in range(levels):
        folders = [path for folder in folders for path in sorted(folder.iterdir()) if path.is_dir()]
    return folders
