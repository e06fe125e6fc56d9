"""Deletion from the cache, in an order that never leaves a half-deleted entry looking complete."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from foresight_cli.config.tree import cache_line
from foresight_cli.errors import ForesightError
from foresight_cli.latents.samples import NAME as SAMPLES
from foresight_cli.latents.storage import lock
from foresight_cli.latents.storage.atomic import sync_folder
from foresight_cli.latents.storage.remote import is_remote
from foresight_cli.latents.upkeep.gc import Contents, Kept, Removable, waste_of


class _Busy(Exception):
    """Another process has taken the entry's lock since the listing."""


def remove(item: Removable, root: Path) -> Kept | None:
    """Delete ``item`` of the cache under ``root``; return None, or why it was left alone after all.

    Raises:
        ForesightError: the disk refuses.
    """
    whole = item.path.is_dir()
    folder = item.path if whole else item.path.parent

    def refuse(_: Path, holder: lock.Holder) -> None:
        raise _Busy(str(holder))

    try:
        with lock.locked([folder], refuse):
            contents = Contents.of(folder)
            if not item.named and item.path not in {waste.path for waste in waste_of(folder, contents)}:
                return Kept(item.path, "it has been repaired since")
            if not whole:
                item.path.unlink()
                return None
            _remove_entry(folder, contents)
        _remove_folders(folder, root)
        return None
    except _Busy as busy:
        return Kept(folder, f"{busy} is filling it")
    except OSError as error:
        raise ForesightError(
            f"cannot delete {error.filename}: {error.strerror}. The rest of it is incomplete. To delete it: "
            f"{cache_line('gc --yes', str(root))}"
        ) from None


def _remove_entry(folder: Path, contents: Contents) -> None:
    """Delete the manifest first (the entry is then incomplete) and the recipe last (it identifies the entry)."""
    with suppress(FileNotFoundError):
        (folder / "manifest.json").unlink()
        if not is_remote(folder):
            sync_folder(folder)
    last = (SAMPLES, lock.NAME, "recipe.json")
    for name in [*(name for name in contents.own if name not in ("manifest.json", *last)), *last]:
        (folder / name).unlink(missing_ok=True)


def _remove_folders(folder: Path, root: Path) -> None:
    """Delete the entry's folder, and those above it that are empty."""
    for empty in (folder, *folder.parents):
        if empty == root or is_remote(root):  # a store has no folders; its bucket is not ours to delete
            return
        try:
            empty.rmdir()
        except OSError:  # it holds other entries, or files that foresight did not write
            return
