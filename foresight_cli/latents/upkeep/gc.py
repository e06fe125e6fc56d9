"""Garbage of the cache: leftovers of killed runs and damaged disks, and the entries that a user names.

Links inside the cache are never followed. Files that foresight did not write are never counted or deleted.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from foresight_cli.config.tree import cache_line
from foresight_cli.errors import ForesightError
from foresight_cli.latents.recipe import FORMAT
from foresight_cli.latents.samples import NAME as SAMPLES
from foresight_cli.latents.storage import lock
from foresight_cli.latents.storage.atomic import TORN, writer_is_gone
from foresight_cli.latents.storage.json_file import SHARD_NAME
from foresight_cli.latents.storage.listing import FileState, states
from foresight_cli.latents.storage.remote import is_remote
from foresight_cli.latents.store import Entry

ASIDE = re.compile(rf"\.corrupt-(?:{SHARD_NAME.pattern}|manifest\.json)")
KEY = re.compile(r"[0-9a-f]{16}")
DAY = 86400.0


@dataclass(frozen=True)
class Removable:
    """A file or an entry that can be deleted.

    Attributes:
        path: a file, or an entry's folder.
        bytes: its size on the disk.
        reason: why it can be deleted.
        named: whether the user asked for it, so that it is deleted even if it is whole.
        stays: text about the files that would stay, to put after the reason; "" if none would.
    """

    path: Path
    bytes: int
    reason: str
    named: bool = False
    stays: str = ""


@dataclass(frozen=True)
class Kept:
    """A folder that is left alone or stays behind, with the reason."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Contents:
    """The files in an entry's folder: foresight's by name, other files, and links named like foresight's files."""

    own: dict[str, FileState]
    foreign: list[str]
    links: list[str]

    @property
    def bytes(self) -> int:
        """Total size of foresight's files."""
        return sum(state.size for state in self.own.values())

    @property
    def stays(self) -> str:
        """Text about the files that would stay if the entry were deleted."""
        others = f" and {len(self.foreign) - 1} more" if len(self.foreign) > 1 else ""
        return f". Not foresight's and kept: {self.foreign[0]}{others}" if self.foreign else ""

    @classmethod
    def of(cls, folder: Path) -> Contents:
        """List ``folder``, in the order of the names."""
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
    """Return every folder under ``root`` that is named like an entry, whatever it holds, sorted; links are skipped.

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
    """Find what is of no use: torn and damaged files, and entries that are not complete or cannot be read."""
    for folder in entry_folders(root):
        try:
            contents = Contents.of(folder)
            waste = list(waste_of(folder, contents))
        except OSError as error:
            yield Kept(folder, f"it cannot be read: {error.strerror}")
            continue
        if waste and (reason := _in_use(folder, contents)):
            yield Kept(folder, reason)
        else:
            yield from waste


def named(root: Path, keys: Sequence[str], older_than: float | None) -> Iterator[Removable | Kept]:
    """Find the entries whose key begins with one of ``keys`` and whose manifest is at least ``older_than`` seconds old.

    Args:
        root: root folder of the cache.
        keys: first hexadecimal digits of keys; empty for every complete entry.
        older_than: None for any age; an entry without a manifest has no age.

    Raises:
        ForesightError: no entry, or several, begin with one of the keys.
    """
    folders = entry_folders(root)
    chosen = {_begins_with(key, folders, root) for key in keys} if keys else set(folders)
    for folder in sorted(chosen):
        contents = Contents.of(folder)
        manifest = contents.own.get("manifest.json")
        if older_than is not None and (manifest is None or time.time() - manifest.modified < older_than):
            continue
        if reason := _in_use(folder, contents):
            yield Kept(folder, reason)
            continue
        days = int((time.time() - manifest.modified) // DAY) if manifest else 0
        age = f"written {days} days ago" if days > 1 else "written yesterday" if days else "written less than a day ago"
        state = next((item.reason for item in waste_of(folder, contents) if item.path == folder), f"complete, {age}")
        yield Removable(folder, contents.bytes, state, named=True, stays=contents.stays)


def _begins_with(key: str, folders: Sequence[Path], root: Path) -> Path:
    matches = [folder for folder in folders if folder.name.startswith(key)]
    if not matches:
        raise ForesightError(f"no entry's key begins with {key}. To see them: {cache_line('ls', str(root))}")
    if len(matches) > 1:
        raise ForesightError(
            f"{len(matches)} entries' keys begin with {key}: {', '.join(map(str, matches))}. Give more digits"
        )
    return matches[0]


def waste_of(folder: Path, contents: Contents) -> Iterator[Removable]:
    """Find the whole entry if it is incomplete or unreadable, else those of its files that are never read."""
    if not contents.own and contents.foreign:
        return  # a user's folder that is named like an entry
    reason, entry = _why_not_whole(folder, contents)
    if reason or entry is None:
        yield Removable(folder, contents.bytes, reason, stays=contents.stays)
        return
    read = {path.name for path in entry.shard_files().values()} | _listed(entry)
    for name, state in contents.own.items():
        if writer_is_gone(name, state.modified):
            yield Removable(folder / name, state.size, "left by a run that ended in the middle of writing it")
        elif ASIDE.fullmatch(name):
            yield Removable(folder / name, state.size, "set aside: its bytes had changed on the disk")
        elif SHARD_NAME.fullmatch(name) and name not in read:
            yield Removable(folder / name, state.size, "never read: another file holds this shard")


def _listed(entry: Entry) -> set[str]:
    """Return the files that the manifest names. If one is never read, that is a fault for ``verify``, not waste."""
    try:
        return {str(row["file"]) for row in entry.manifest()["shards"]}
    except (ForesightError, KeyError, TypeError):
        return set()


def _why_not_whole(folder: Path, contents: Contents) -> tuple[str, Entry | None]:
    """Return why the whole entry can be deleted, or ""; and the entry, if it can be read."""
    if "recipe.json" not in contents.own:
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
    return f"incomplete: {have} of {entry.recipe.shards} shards; the same extract would resume from there", entry


def other_format(recipe: bytes) -> str:
    """Describe a recipe of another version of the format; "" for a recipe of this version.

    Raises:
        ValueError: it names no version.
    """
    values = json.loads(recipe)
    if not isinstance(values, dict) or "format" not in values:
        raise ValueError("it has no `format` field")
    return "" if values["format"] == FORMAT else f"of format {values['format']!r}; this foresight reads format {FORMAT}"


def _in_use(folder: Path, contents: Contents) -> str:
    """Return why the entry must be left alone, or ""."""
    if contents.links:
        return f"it holds links ({contents.links[0]}), and links are not followed"
    if holder := lock.held(folder):
        return f"{holder} is filling it"
    no_lock = lock.NAME not in contents.own and not is_remote(folder)
    ours = no_lock or lock.last_holder(folder).host == socket.gethostname()
    newest = max((state.modified for state in contents.own.values()), default=0.0)
    if "manifest.json" not in contents.own and not ours and time.time() - newest < DAY:
        return "another machine wrote to it less than a day ago, and may be filling it"  # not all disks have locks
    return ""
