"""What could go from the cache: what killed runs and damaged disks left, and the entries that a user names.

No link inside the cache is followed, and no file counts that foresight did not name itself.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from foresight_cli.errors import ForesightError
from foresight_cli.latents import lock
from foresight_cli.latents.json_file import SHARD_NAME
from foresight_cli.latents.listing import FileState, states
from foresight_cli.latents.recipe import FORMAT
from foresight_cli.latents.remote import is_remote
from foresight_cli.latents.samples import NAME as SAMPLES
from foresight_cli.latents.store import Entry

TORN = re.compile(r"\.tmp-(?P<host>.+)-(?P<pid>\d+)-[0-9a-f]{8}")
ASIDE = re.compile(rf"\.corrupt-(?:{SHARD_NAME.pattern}|manifest\.json)")
KEY = re.compile(r"[0-9a-f]{16}")
DAY = 86400.0


@dataclass(frozen=True)
class Removable:
    """What could go.

    Attributes:
        path: a file, or an entry's folder.
        bytes: what it takes on the disk.
        reason: why it could go.
        named: whether the user asked for it, so that it goes even if it is whole.
        stays: what of it would stay, to be put after the reason; "" for nothing.
    """

    path: Path
    bytes: int
    reason: str
    named: bool = False
    stays: str = ""


@dataclass(frozen=True)
class Kept:
    """A folder that is left alone, or that stays behind, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Contents:
    """What lies in an entry's folder: foresight's files by name, other files, and foresight's names that are links."""

    own: dict[str, FileState]
    foreign: list[str]
    links: list[str]

    @property
    def bytes(self) -> int:
        """Of foresight's files."""
        return sum(state.size for state in self.own.values())

    @property
    def stays(self) -> str:
        """What of the folder would stay if the entry went."""
        others = f" and {len(self.foreign) - 1} more" if len(self.foreign) > 1 else ""
        return f". Not foresight's and kept: {self.foreign[0]}{others}" if self.foreign else ""

    @classmethod
    def of(cls, folder: Path) -> Contents:
        """The contents of ``folder``, in the order of their names."""
        own, foreign, links = dict[str, FileState](), list[str](), list[str]()
        for name, state in states(folder):
            if not _is_ours(name):
                foreign.append(name)
            elif state.regular:
                own[name] = state
            else:
                links.append(name)
        return cls(own, foreign, links)


def _is_ours(name: str) -> bool:
    plain = ("recipe.json", "manifest.json", SAMPLES, lock.NAME)
    return name in plain or any(pattern.fullmatch(name) for pattern in (SHARD_NAME, TORN, ASIDE))


def entry_folders(root: Path) -> list[Path]:
    """Every folder under ``root`` that is named as an entry is, whatever it holds, in order; links are passed over.

    Raises:
        ForesightError: a folder cannot be listed.
    """
    folders = [root]
    try:
        for pattern in (None, re.compile("layer-.+"), None, KEY):
            below = [path for folder in folders for path in sorted(folder.iterdir())]
            named = [path for path in below if pattern is None or pattern.fullmatch(path.name)]
            folders = [path for path in named if not path.is_symlink() and path.is_dir()]
    except OSError as error:
        raise ForesightError(f"cannot list {error.filename}: {error.strerror}") from None
    return folders


def leftovers(root: Path) -> Iterator[Removable | Kept]:
    """What nobody needs: torn and damaged files, and entries that are not complete or cannot be read."""
    for folder in entry_folders(root):
        try:
            there = Contents.of(folder)
            waste = list(waste_of(folder, there))
        except OSError as error:
            yield Kept(folder, f"it cannot be read: {error.strerror}")
            continue
        if waste and (reason := _in_use(folder, there)):
            yield Kept(folder, reason)
        else:
            yield from waste


def named(root: Path, keys: Sequence[str], older_than: float | None) -> Iterator[Removable | Kept]:
    """The entries whose key begins with one of ``keys``, and whose manifest was written ``older_than`` seconds ago.

    Args:
        root: of the cache.
        keys: in hexadecimal digits; none for every complete entry.
        older_than: None for any age; an entry without a manifest has none.

    Raises:
        ForesightError: no entry or several begin with one of the keys.
    """
    folders = entry_folders(root)
    chosen = {_begins_with(key, folders) for key in keys} if keys else set(folders)
    for folder in sorted(chosen):
        there = Contents.of(folder)
        manifest = there.own.get("manifest.json")
        if older_than is not None and (manifest is None or time.time() - manifest.modified < older_than):
            continue
        if reason := _in_use(folder, there):
            yield Kept(folder, reason)
            continue
        days = int((time.time() - manifest.modified) // DAY) if manifest else 0
        age = f"written {days} days ago" if days > 1 else "written yesterday" if days else "written less than a day ago"
        state = next((item.reason for item in waste_of(folder, there) if item.path == folder), f"complete, {age}")
        yield Removable(folder, there.bytes, state, named=True, stays=there.stays)


def _begins_with(key: str, folders: Sequence[Path]) -> Path:
    found = [folder for folder in folders if folder.name.startswith(key)]
    if not found:
        raise ForesightError(f"no entry's key begins with {key}: foresight cache ls shows them")
    if len(found) > 1:
        raise ForesightError(
            f"{len(found)} entries' keys begin with {key}: {', '.join(map(str, found))}. Give more digits"
        )
    return found[0]


def waste_of(folder: Path, there: Contents) -> Iterator[Removable]:
    """The whole entry, if it is not complete or cannot be read; else the files in it that are never read."""
    if not there.own and there.foreign:
        return  # a user's own folder that looks like one of ours
    reason, entry = _why_not_whole(folder, there)
    if reason or entry is None:
        yield Removable(folder, there.bytes, reason, stays=there.stays)
        return
    read = {path.name for path in entry.shard_files().values()} | _listed(entry)
    for name, state in there.own.items():
        if TORN.fullmatch(name) and _writer_is_gone(name, state):
            yield Removable(folder / name, state.size, "left by a run that ended in the middle of writing it")
        elif ASIDE.fullmatch(name):
            yield Removable(folder / name, state.size, "set aside: its bytes had changed on the disk")
        elif SHARD_NAME.fullmatch(name) and name not in read:
            yield Removable(folder / name, state.size, "never read: another file holds this shard")


def _listed(entry: Entry) -> set[str]:
    """The files that the manifest names: one that is not read is a fault, for ``verify`` to say, and no waste."""
    try:
        return {str(row["file"]) for row in entry.manifest()["shards"]}
    except (ForesightError, KeyError, TypeError):
        return set()


def _why_not_whole(folder: Path, there: Contents) -> tuple[str, Entry | None]:
    """Why the entry as a whole could go, or ""; and the entry, where it can be read."""
    if "recipe.json" not in there.own:
        return "incomplete: it has no recipe", None
    text = (folder / "recipe.json").read_bytes()
    try:
        other = other_format(text)
    except ValueError:
        return "its recipe cannot be read", None
    if other:
        return other, None
    try:
        entry = Entry.open(folder)
    except ForesightError:
        return "its recipe was edited", None
    if entry.recipe.canonical() != text:
        return "its recipe was edited", None
    if entry.complete:
        return "", entry
    have = entry.recipe.shards - len(entry.missing())
    return f"incomplete: {have} of {entry.recipe.shards} shards; the same extract would go on from there", entry


def other_format(recipe: bytes) -> str:
    """What to say of a recipe of another version of the format; "" of one of this version.

    Raises:
        ValueError: it says no version.
    """
    said = json.loads(recipe)
    if not isinstance(said, dict) or "format" not in said:
        raise ValueError("it says no format")
    return "" if said["format"] == FORMAT else f"of format {said['format']!r}; this foresight reads format {FORMAT}"


def _in_use(folder: Path, there: Contents) -> str:
    """Why the entry must be left alone, or ""."""
    if there.links:
        return f"it holds links ({there.links[0]}), and no link is followed"
    if holder := lock.held(folder):
        return f"{holder} is filling it"
    no_lock = lock.NAME not in there.own and not is_remote(folder)
    ours = no_lock or lock.last_holder(folder).host == socket.gethostname()
    newest = max((state.modified for state in there.own.values()), default=0.0)
    if "manifest.json" not in there.own and not ours and time.time() - newest < DAY:
        return "another machine wrote to it less than a day ago, and may be filling it"  # not all disks have locks
    return ""


def _writer_is_gone(name: str, state: FileState) -> bool:
    match = TORN.fullmatch(name)
    assert match is not None
    if match["host"] != socket.gethostname():
        return time.time() - state.modified > DAY
    try:
        os.kill(int(match["pid"]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False
