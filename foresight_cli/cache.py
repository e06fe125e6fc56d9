"""``foresight cache ls | verify | gc``: list the latent cache, check its bytes, delete what is not needed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from foresight_cli.config.tree import cache_line
from foresight_cli.errors import ForesightError, UsageError
from foresight_cli.latents import Entry
from foresight_cli.latents.finding import by_layer, labels_of
from foresight_cli.latents.recipe import ONLY
from foresight_cli.latents.storage.listing import states
from foresight_cli.latents.storage.lock import held
from foresight_cli.latents.storage.remote import cache_root
from foresight_cli.latents.store import folders
from foresight_cli.latents.upkeep.check import faults
from foresight_cli.latents.upkeep.gc import DAY, Kept, Removable, leftovers, named, other_format
from foresight_cli.latents.upkeep.removal import remove
from foresight_cli.suggest.extract_again import extract_command


@dataclass(frozen=True)
class Selection:
    """The entries that the user names for ``gc`` to delete.

    Attributes:
        keys: first digits of the keys of the entries.
        older_than: least age in seconds, counted from when the manifest was written; None for any age.
    """

    keys: tuple[str, ...]
    older_than: float | None

    @property
    def empty(self) -> bool:
        """True if the user named no entries."""
        return not self.keys and self.older_than is None


def run(cfg: DictConfig) -> None:
    """Run the stage: list, check or clean the cache."""
    selection = Selection(_keys(cfg["keys"], str(cfg.cache_dir)), _seconds(cfg.older_than))
    if cfg.action != "gc" and (cfg.delete or not selection.empty):
        raise UsageError("--yes, keys= and older_than= are for foresight cache gc")
    root = cache_root(str(cfg.cache_dir))
    if not root.is_dir():
        raise ForesightError(f"no cache at {root}: run foresight extract first, or give its folder with cache_dir=DIR")
    if cfg.action == "ls":
        ls(root)
    elif cfg.action == "verify":
        verify(root)
    elif cfg.action == "gc":
        gc(root, selection, yes=bool(cfg.delete))
    else:
        raise UsageError(f"action={cfg.action}: choose one of ls, verify, gc")


def _keys(value: Any, cache_dir: str) -> tuple[str, ...]:
    if not isinstance(value, ListConfig):
        raise UsageError(f"keys={value}: give a list, for example keys=[ab12,cd34]")
    keys = tuple(str(key).lower() for key in value)
    for key in keys:
        if not re.fullmatch("[0-9a-f]{4,16}", key):
            raise UsageError(
                f"keys=[{key}]: give the first 4 to 16 hexadecimal digits of a key. To see them: "
                f"{cache_line('ls', cache_dir)}"
            )
    return keys


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d+)([dh])", str(value))
    if match is None:
        raise UsageError(f"older_than={value}: give days or hours, for example 30d or 12h")
    return int(match[1]) * (DAY if match[2] == "d" else 3600)


def ls(root: Path) -> None:
    """Print one line for each entry under ``root``, and their number and total size."""
    console = Console()
    on_terminal = console.is_terminal
    if not on_terminal:
        console.width = 100_000  # a pipe has no width at which to cut words
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("key", "model", "label", "layer", "pooling", "data", "rows", "size", "state"):
        right, least = column in ("rows", "size"), 8 if column == "key" else None
        table.add_column(column, justify="right" if right else "left", no_wrap=True, min_width=least)
    table.add_column("checkpoint")  # the column that is cut where the terminal is narrow
    if not on_terminal:
        table.add_column("path", no_wrap=True)
    count = total = 0
    listed = sorted(folders(root), key=by_layer)
    labels = labels_of(listed)
    for folder in listed:
        size, model, *words, checkpoint = _line(folder)
        words = [model, labels.get(folder, ""), *words]
        key = folder.name[:8] if on_terminal else folder.name
        cut = Text(checkpoint, no_wrap=True, overflow="ellipsis")
        table.add_row(key, *words, cut, *([] if on_terminal else [str(folder)]))
        count, total = count + 1, total + size
    console.print(table)
    console.print(f"{count} {'entry' if count == 1 else 'entries'}, {decimal(total)}", highlight=False)


def _line(folder: Path) -> tuple[Any, ...]:
    """Return the size of an entry's latents in bytes, then the cells of its line after the key."""
    try:
        entry = Entry.open(folder)
    except ForesightError:
        model, layer, pooling, _ = folder.parts[-4:]
        return 0, model, layer.removeprefix("layer-"), pooling, "", "", "", "unreadable", ""
    recipe, files, files_now = entry.recipe, entry.shard_files(), dict(states(folder))
    size = sum(files_now[file.name].size for file in files.values() if file.name in files_now)
    sealed = "manifest.json" in files_now and len(files) == recipe.shards
    filling = ", being filled" if not sealed and held(folder) else ""
    return (
        size,
        str(recipe.model["name"]),
        recipe.layer,
        recipe.pooling,
        str(recipe.data.get("name")),
        str(_rows(entry) if sealed else recipe.rows),
        decimal(size),
        "complete" if sealed else f"{len(files)} of {recipe.shards} shards{filling}",
        str(recipe.model.get("checkpoint", "")),
    )


def _rows(entry: Entry) -> int:
    """Return the number of rows in the entry; if its manifest cannot be read, the number it should have."""
    with suppress(ForesightError, OSError, ValueError, KeyError, TypeError):
        return entry.recipe.rows - len(entry.manifest()["skipped"])
    return entry.recipe.rows


def verify(root: Path) -> None:
    """Check every byte of every entry under ``root``.

    Raises:
        ForesightError: some entries are damaged; each is printed on a line before.
    """
    checked = damaged = 0
    for folder in sorted(folders(root), key=by_layer):
        text, whole = _verified(folder, root)
        print(f"{folder}: {text}", flush=True)
        checked, damaged = checked + 1, damaged + (not whole)
    if not checked:
        print(f"{root}: no entries to check")
    if damaged:
        raise ForesightError(f"{damaged} of {checked} entries are damaged: see the lines above for what to type")


def _verified(folder: Path, root: Path) -> tuple[str, bool]:
    """Return the text on an entry, and whether all of its files that exist are whole."""
    try:
        entry = Entry.open(folder)
    except ForesightError as error:
        with suppress(OSError, ValueError):
            if other := other_format((folder / "recipe.json").read_bytes()):
                return f"not checked: {other}", True
        return f"{error}. To delete it: {cache_line('gc --yes', str(root))}", False
    problems = faults(entry)
    if problems:
        command = extract_command(entry, str(root))
        again = f"Type: {command}" if command else "Run the same extract again"
        if ONLY in entry.recipe.data:  # made by analyze, for the rows that it drew
            again = "Run the same analyze to recreate it"
        return f"{'; '.join(problems)}. {again}", False
    if entry.complete:
        return "whole", True
    have = entry.recipe.shards - len(entry.missing())
    holder = held(folder)
    filling = f"; {holder} is filling it" if holder else ""
    return f"whole so far, {have} of {entry.recipe.shards} shards{filling}", True


def gc(root: Path, selection: Selection, *, yes: bool) -> None:
    """Print what could be deleted from the cache under ``root`` and why, or delete it.

    Args:
        root: folder of the cache.
        selection: entries to delete; if empty, what no run needs.
        yes: delete; otherwise only print.

    Raises:
        ForesightError: a key matches no entry or several, or the disk refuses to delete.
    """
    items = leftovers(root) if selection.empty else named(root, selection.keys, selection.older_than)
    count, total = _go_through(list(items), root, yes=yes)
    things = f"{count} {'thing' if count == 1 else 'things'}, {decimal(total)}"
    if yes:
        print(f"deleted {things}")
    elif count:
        print(f"{things} can be deleted. Add --yes to delete")
    else:
        more = ". To delete complete entries, name them: keys=[ab12] or older_than=30d" if selection.empty else ""
        print(f"nothing to delete{more}")


def _go_through(items: Iterable[Removable | Kept], root: Path, *, yes: bool) -> tuple[int, int]:
    """Print a line for each item, and delete it with ``yes``; return the number of items to delete, and their bytes."""
    count = total = 0
    for item in items:
        kept = item if isinstance(item, Kept) else remove(item, root) if yes else None
        if kept:
            print(f"{kept.path}: left alone, {kept.reason}", flush=True)
        elif isinstance(item, Removable):
            done = "deleted " if yes else ""
            print(f"{done}{item.path}: {decimal(item.bytes)}, {item.reason}{item.stays}", flush=True)
            count, total = count + 1, total + item.bytes
    return count, total
