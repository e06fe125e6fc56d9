"""Deletion from the cache: the state after a kill, with a held lock, and on a disk that refuses."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry, Recipe, Shard
from foresight_cli.latents.samples import write_samples
from foresight_cli.latents.storage import lock
from foresight_cli.latents.upkeep.gc import Kept, leftovers, named
from foresight_cli.latents.upkeep.removal import remove

RECIPE = Recipe(model={"name": "m"}, layer="final", pooling="flat", data={"name": "d"}, rows=10, rows_per_shard=4)


def filled(root: Path, shards: int = 3) -> Entry:
    entry = Entry.create(root, RECIPE)
    for number in range(shards):
        n = len(RECIPE.slice(number))
        entry.put(number, Shard([f"s{i}" for i in RECIPE.slice(number)], torch.zeros(n, 3), torch.zeros(n, 32).byte()))
    if shards == 3:
        entry.seal({"data": {"name": "d"}, "versions": {}})
        write_samples(entry.path, [])
    return entry


def the_entry(root: Path):
    (item,) = named(root, [RECIPE.key[:8]], None)
    return item


def deleted(monkeypatch) -> list[str]:
    """Record the names of the files that are deleted from now on, in order."""
    names: list[str] = []
    plain = Path.unlink
    monkeypatch.setattr(
        Path, "unlink", lambda path, missing_ok=False: names.append(path.name) or plain(path, missing_ok)
    )
    return names


def test_an_entry_is_deleted_manifest_first_and_recipe_last_with_its_empty_folders(tmp_path, monkeypatch):
    entry = filled(tmp_path / "cache")
    shards = [path.name for path in sorted(entry.shard_files().values())]
    names = deleted(monkeypatch)
    assert remove(the_entry(tmp_path / "cache"), tmp_path / "cache") is None
    assert names == ["manifest.json", *shards, "samples.json", ".lock", "recipe.json"]
    assert list((tmp_path / "cache").iterdir()) == []


def test_folders_that_hold_other_entries_stay(tmp_path):
    entry = filled(tmp_path)
    other = entry.path.parent.parent / "channel_mean"
    other.mkdir()
    remove(the_entry(tmp_path), tmp_path)
    assert list(tmp_path.rglob("*")) == [tmp_path / "m", other.parent, other]


def test_files_that_foresight_did_not_write_stay(tmp_path):
    entry = filled(tmp_path)
    (entry.path / "notes.txt").write_text("mine")
    (entry.path / "folder").mkdir()
    (entry.path / "link").symlink_to(tmp_path)
    assert remove(the_entry(tmp_path), tmp_path) is None
    assert sorted(path.name for path in entry.path.iterdir()) == ["folder", "link", "notes.txt"]
    assert list(leftovers(tmp_path)) == []


def test_one_file_is_deleted_alone(tmp_path):
    entry = filled(tmp_path)
    before = {path.name for path in entry.path.iterdir()}
    aside = entry.path / f".corrupt-{entry.shard_files()[0].name}"
    aside.touch()
    (item,) = leftovers(tmp_path)
    assert remove(item, tmp_path) is None
    assert {path.name for path in entry.path.iterdir()} == before | {".lock"}
    assert entry.complete


KILLED = f"""
import os, signal, sys
from pathlib import Path
from foresight_cli.latents.upkeep.gc import named
from foresight_cli.latents.upkeep.removal import remove
root, left = Path(sys.argv[1]), int(sys.argv[2])
plain = Path.unlink
def unlink(path, missing_ok=False):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    plain(path, missing_ok)
Path.unlink = unlink
(item,) = named(root, ["{RECIPE.key[:8]}"], None)
remove(item, root)
"""


@pytest.mark.parametrize("files", range(8))
def test_a_kill_leaves_an_entry_that_is_whole_or_not_complete(tmp_path, files):
    """A manifest, three shards, samples, lock and recipe: killed before each of the seven deletions, and not at all."""
    entry = filled(tmp_path)
    result = subprocess.run([sys.executable, "-c", KILLED, tmp_path, str(files)], check=False)
    assert result.returncode == (-9 if files < 7 else 0)
    if files == 0:
        assert entry.complete
    elif files < 7:
        assert Entry.open(entry.path) == entry
        assert not entry.complete
        assert entry.missing() == list(range(min(files - 1, 3)))
        with pytest.raises(ForesightError) as caught:
            entry.manifest()
        assert str(caught.value) == f"{entry.path} is not complete: run the same extract again"
        (item,) = leftovers(tmp_path)
        assert remove(item, tmp_path) is None
    if files:
        assert list(tmp_path.iterdir()) == []


def test_an_entry_locked_since_it_was_looked_at_is_left_alone(tmp_path):
    entry = filled(tmp_path, 1)
    (item,) = leftovers(tmp_path)
    before = {path: path.read_bytes() for path in entry.path.iterdir()}
    with lock.locked([entry.path], lambda *_: pytest.fail("no other process holds it")):
        reason = f"process {os.getpid()} on {os.uname().nodename} is filling it"
        assert remove(item, tmp_path) == Kept(entry.path, reason)
    (entry.path / lock.NAME).unlink()
    assert {path: path.read_bytes() for path in entry.path.iterdir()} == before


def test_an_entry_completed_since_it_was_looked_at_is_left_alone(tmp_path):
    filled(tmp_path, 1)
    (item,) = leftovers(tmp_path)
    entry = filled(tmp_path)
    assert remove(item, tmp_path) == Kept(entry.path, "it has been repaired since")
    assert entry.complete


def test_a_disk_that_refuses_is_one_line(tmp_path, monkeypatch):
    entry = filled(tmp_path)
    item = the_entry(tmp_path)
    plain, refused = Path.unlink, entry.shard_files()[1]

    def refuse(path, missing_ok=False):
        if path == refused:
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        plain(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(ForesightError) as caught:
        remove(item, tmp_path)
    assert str(caught.value) == (
        f"cannot delete {refused}: Read-only file system. The rest of it is incomplete. To delete it: "
        f"foresight cache gc --yes cache_dir={tmp_path}"
    )
    assert not entry.complete
