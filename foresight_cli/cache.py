"""``foresight cache ls | verify``: what the latent cache holds, and whether its bytes are whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from foresight_cli.errors import ForesightError, UsageError
from foresight_cli.latents import Entry
from foresight_cli.latents.samples import read_samples
from foresight_cli.latents.store import folders


def run(cfg: DictConfig) -> None:
    """The stage's entry point."""
    root = Path(str(cfg.cache_dir))
    if not root.is_dir():
        raise ForesightError(f"no cache at {root}: run foresight extract first, or say where it is with cache_dir=DIR")
    if cfg.action == "ls":
        console = Console()
        if not console.is_terminal:
            console.width = 1000  # a pipe has no edge to cut words at
        console.print(listing(root))
    elif cfg.action == "verify":
        verify(root)
    else:
        raise UsageError(f"action={cfg.action}: choose one of ls, verify")


def listing(root: Path) -> Table:
    """One line for each entry under ``root``."""
    table = Table(box=None, header_style="bold")
    for column in ("model", "checkpoint", "layer", "pooling", "data", "rows", "size", "state", "key"):
        table.add_column(column, justify="right" if column in ("rows", "size") else "left", no_wrap=column == "key")
    for folder in folders(root):
        try:
            entry = Entry.open(folder)
        except ForesightError:
            model, layer, pooling, key = folder.parts[-4:]
            table.add_row(model, "", layer.removeprefix("layer-"), pooling, "", "", "", "unreadable", key)
            continue
        recipe = entry.recipe
        size = sum(file.stat().st_size for file in entry.shard_files().values())
        done = recipe.shards - len(entry.missing())
        table.add_row(
            str(recipe.model["name"]),
            str(recipe.model.get("checkpoint", "")),
            recipe.layer,
            recipe.pooling,
            str(recipe.data.get("name")),
            str(recipe.rows),
            f"{size / 1e6:.1f} MB",
            "complete" if entry.complete else f"{done} of {recipe.shards} shards",
            entry.path.name,
        )
    return table


def verify(root: Path) -> None:
    """Check every byte of every entry under ``root``.

    Raises:
        ForesightError: how many entries are damaged; each is named on its own line before.
    """
    checked, damaged = 0, 0
    for folder in folders(root):
        faults = list(_faults(folder))
        damaged += bool(faults)
        checked += 1
        print(f"{folder}: {'; '.join(faults) or _state(Entry.open(folder))}")
    if damaged:
        raise ForesightError(
            f"{damaged} of {checked} entries are damaged: run their extract again to redo those shards"
        )


def _state(entry: Entry) -> str:
    return "whole" if entry.complete else "whole so far, not complete"


def _faults(folder: Path) -> Iterator[str]:
    try:
        entry = Entry.open(folder)
    except ForesightError as error:
        yield str(error)
        return
    files = entry.shard_files()
    for number in files:
        try:
            entry.get(number)
        except ForesightError as error:
            yield str(error)
    if not entry.complete:
        return
    try:
        read_samples(entry.path)
        listed = {row["file"] for row in entry.manifest()["shards"]}
        if listed != {file.name for file in files.values()}:
            yield "manifest.json lists other files than there are"
    except ForesightError as error:
        yield str(error)
