"""The files under a folder that data come from: which there are, what each is called, and one hash over them all.

An id is the path inside the folder, with ``/`` and the suffix, in Unicode form NFC: a disk that stores another form
changes no id. Names with a leading dot are passed over; files without one of the suffixes (in any case) are left alone
and counted. Links are followed, except a folder link that leads back to the root, above it, or to a folder that is
already listed.
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
from foresight_cli.errors import ForesightError
from foresight_cli.hashing import sha256_of_each
from foresight_cli.path_kinds import instead_of

OPTIONS = {"images": "imagefolder", "videos": "video"}
"""The ``data=`` that reads a folder of such files."""


def data_folder(path: str | Path, what: str) -> Path:
    """The absolute path of the folder of ``what`` that ``data.path`` names.

    Raises:
        ForesightError: there is no such folder.
    """
    given = os.path.expanduser(path)  # noqa: PTH111 (Path.expanduser raises where no such user exists)
    if not given or not Path(given).is_dir():
        fault = f"{given!r} is a file" if given and Path(given).exists() else f"no folder {given!r}"
        other = instead_of(given, OPTIONS[what]) if Path(given).is_file() and what in OPTIONS else ""
        raise ForesightError(f"{fault}; data.path= wants a folder of {what}{other}")
    return Path(given).absolute()  # files are read later, maybe from another working directory


class FolderFiles(NamedTuple):
    """What a folder holds.

    Attributes:
        files: id -> path inside the folder as the disk spells it, in the code-point order of the ids.
        others: how many files of each other suffix there are; attributes.csv and the system's own are not counted.
    """

    files: dict[str, str]
    others: dict[str, int]


def find_files(
    root: Path, suffixes: tuple[str, ...], what: str, advice: Callable[[Mapping[str, int]], str] = lambda others: ""
) -> FolderFiles:
    """The files of ``suffixes`` under ``root``, and what else is there.

    Args:
        root: the folder.
        suffixes: in lower case, with their dots.
        what: what such files are, for messages.
        advice: what to say of other files to a user whose folder holds no file of ``suffixes``.

    Raises:
        ForesightError: no file of ``suffixes``, a folder that cannot be listed, or a name that cannot be an id.
    """
    paths: list[str] = []
    others: Counter[str] = Counter()
    for path, entry in _walk(root):
        if path.lower().endswith(suffixes):
            if entry.is_symlink() and not Path(entry.path).exists():
                raise ForesightError(f"{path!r} in {root} is a link to nothing; mend or remove it")
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
    """The name of the first sub-folder on the way to a file, None for one directly in the root: its label."""
    return file_id.split("/")[0] if "/" in file_id else None


def sha256_of_files(root: Path, files: Mapping[str, str]) -> str:
    """One hash over each id and its file's bytes, in order; ``files`` as :func:`find_files` gives them.

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
    """What tells whether a file was written to since, by its path inside ``root``; a missing one is left out."""
    found = {}
    for path in files.values():
        with suppress(OSError):
            found[path] = _state(root / path)
    return found


def refuse_changed(root: Path, path: str, then: Mapping[str, State] | None) -> None:
    """Stop where a file is another than when it was hashed: its latents would be kept under the old one's key.

    Raises:
        ForesightError: which file.
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
    """No user can set a ctime: a file rewritten with its old mtime is seen as well."""
    said = path.stat()
    return said.st_ino, said.st_size, said.st_mtime_ns, said.st_ctime_ns


def _walk(root: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Path and entry of the files under ``root``, in no order.

    Links wait until the real folders are done, so that those win.
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
