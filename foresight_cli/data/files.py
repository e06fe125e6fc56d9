"""The files of a dataset's folder: find them, name them, and hash them together.

An id is the path inside the folder, with ``/`` and the suffix, in Unicode form NFC: a disk that stores another form
does not change an id. Names with a leading dot are passed over; files without one of the suffixes (in any case) are
left alone and counted. Links are followed, except a folder link that leads back to the root, above it, or to a folder
that is already listed.
"""

from __future__ import annotations

import hashlib
import heapq
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from foresight_cli.data.left_alone import SYSTEM_FILES, listed, suffix_of
from foresight_cli.data.path_kinds import instead_of
from foresight_cli.errors import ForesightError
from foresight_cli.machine.hashing import sha256_of_each

OPTIONS = {"images": "imagefolder", "videos": "video"}
"""The ``data=`` that reads a folder of such files."""


def data_folder(path: str | Path, what: str) -> Path:
    """Return the absolute path of the folder of ``what`` that ``data.path`` names.

    Raises:
        ForesightError: there is no such folder.
    """
    folder = os.path.expanduser(path)  # noqa: PTH111 (Path.expanduser raises where no such user exists)
    if not folder or not Path(folder).is_dir():
        fault = f"{folder!r} is a file" if folder and Path(folder).exists() else f"no folder {folder!r}"
        other = instead_of(folder, OPTIONS[what]) if Path(folder).is_file() and what in OPTIONS else ""
        raise ForesightError(f"{fault}; data.path= wants a folder of {what}{other}")
    return Path(folder).absolute()  # files are read later, maybe from another working directory


class FolderFiles(NamedTuple):
    """The files of a folder.

    Attributes:
        files: path inside the folder, as the disk spells it, by id, in the code-point order of the ids.
        others: number of files of each other suffix; attributes.csv and the system's files are not counted.
    """

    files: dict[str, str]
    others: dict[str, int]


def find_files(
    root: Path, suffixes: tuple[str, ...], what: str, advice: Callable[[Mapping[str, int]], str] = lambda others: ""
) -> FolderFiles:
    """Find the files of ``suffixes`` under ``root``, and count the others.

    Args:
        root: the folder.
        suffixes: in lower case, with their dots.
        what: what such files are, for messages.
        advice: makes the advice about other files for a user whose folder holds no file of ``suffixes``.

    Raises:
        ForesightError: no file of ``suffixes``, a folder that cannot be listed, or a name that cannot be an id.
    """
    paths: list[str] = []
    others: Counter[str] = Counter()
    for path, entry in _walk(root):
        if path.lower().endswith(suffixes):
            if entry.is_symlink() and not Path(entry.path).exists():
                raise ForesightError(f"{path!r} in {root} is a broken link; fix or remove it")
            if entry.is_file():
                paths.append(path)
            else:  # opening a pipe or a device would hang
                others["pipe or device"] += 1
        elif path != "attributes.csv" and path.rpartition("/")[2].lower() not in SYSTEM_FILES:
            others[suffix_of(path)] += 1
    if not paths:
        seen = f"; it holds {listed(others)}{advice(others)}" if others else ""
        other = instead_of(str(root), OPTIONS[what]) if others and what in OPTIONS else ""
        raise ForesightError(f"no {what} in {root}; the suffixes read are {', '.join(suffixes)}{seen}{other}")
    return FolderFiles(_by_id(root, sorted(paths)), dict(others))


def _by_id(root: Path, paths: list[str]) -> dict[str, str]:
    files: dict[str, str] = {}
    for path in paths:
        if path.encode(errors="ignore").decode() != path:
            raise ForesightError(f"the name {path!r} in {root} is not valid UTF-8; rename it")
        file_id = unicodedata.normalize("NFC", path)
        if file_id in files:
            twins = f"{files[file_id]!a} and {path!a} in {root}"  # only escapes show how the two differ
            raise ForesightError(f"{twins} are one name in Unicode form NFC; rename one of them")
        files[file_id] = path
    return dict(sorted(files.items()))


def top_folder(file_id: str) -> str | None:
    """Return a file's label, the name of the first sub-folder on its path; None for a file directly in the root."""
    return file_id.split("/")[0] if "/" in file_id else None


def sha256_of_files(root: Path, files: Mapping[str, str]) -> str:
    """Return one hash over each id and its file's bytes, in order; ``files`` as :func:`find_files` returns them.

    Raises:
        ForesightError: a file cannot be read.
    """
    total = hashlib.sha256()
    try:
        for file_id, digest in zip(files, sha256_of_each([f"{root}/{p}" for p in files.values()]), strict=True):
            total.update(file_id.encode() + b"\0" + digest)  # no path holds a NUL: the id's end is certain
    except OSError as error:
        path = str(error.filename).removeprefix(f"{root}/")
        raise ForesightError(f"cannot read {path!r} in {root}: {error.strerror}") from error
    return total.hexdigest()


State = tuple[int, int, int, int]


def states_of(root: Path, files: Mapping[str, str]) -> dict[str, State]:
    """Return each file's state, which changes when it is written to, by its path; a missing file is left out."""
    states = {}
    for path in files.values():
        with suppress(OSError):
            states[path] = _state(root / path)
    return states


def refuse_changed(root: Path, path: str, then: Mapping[str, State] | None) -> None:
    """Refuse a file that has changed since it was hashed: its latents would be stored under the old one's key.

    Raises:
        ForesightError: with the name of the file.
    """
    if then is None:
        return
    try:
        now = _state(root / path)
    except OSError as error:
        raise ForesightError(f"cannot read {path!r} in {root}: {error.strerror}") from error
    if now != then.get(path):
        raise ForesightError(f"{path!r} in {root} has changed since this run began: run the same command again")


def _state(path: Path) -> State:
    """Return inode, size, mtime and ctime: no user can set a ctime, so even a file with its old mtime is noticed."""
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _walk(root: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield path and entry of the files under ``root``, in no order.

    Links come after all real folders, so that a folder keeps its real path.
    """
    visited = {str(folder) for folder in root.resolve().parents}
    folders, links = [""], list[str]()
    while folders or links:
        folder = folders.pop() if folders else heapq.heappop(links)
        real = os.path.realpath(root / folder)
        if real in visited:
            continue
        visited.add(real)
        try:
            with os.scandir(real) as listing:
                entries = [entry for entry in listing if not entry.name.startswith(".")]
        except OSError as error:
            raise ForesightError(f"cannot list {str(root / folder)!r}: {error.strerror}") from error
        for entry in entries:
            name = folder + entry.name
            is_link = entry.is_symlink()
            if not is_link and entry.is_dir():
                folders.append(name + "/")
            elif is_link and Path(entry.path).is_dir():
                heapq.heappush(links, name + "/")
            else:
                yield name, entry
