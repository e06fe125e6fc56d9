"""Deletable leftovers of the cache, and the files that are never touched."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry, Recipe, Shard
from foresight_cli.latents.samples import write_samples
from foresight_cli.latents.storage import lock
from foresight_cli.latents.upkeep.gc import DAY, Kept, Removable, entry_folders, leftovers, named

RECIPE = Recipe(model={"name": "m"}, layer="final", pooling="flat", data={"name": "d"}, rows=10, rows_per_shard=4)
HOST = socket.gethostname()


def shard(number: int, value: float = 0.0) -> Shard:
    rows = RECIPE.slice(number)
    return Shard([f"s{row}" for row in rows], torch.full((len(rows), 3), value), torch.zeros(len(rows), 32).byte())


def filled(root: Path, shards: int = 3, **changes) -> Entry:
    entry = Entry.create(root, dataclasses.replace(RECIPE, **changes))
    for number in range(shards):
        entry.put(number, shard(number))
    if shards == 3:
        entry.seal({"data": {"name": "d"}, "versions": {}})
        write_samples(entry.path, [])
    return entry


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def dead() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def aged(path: Path, seconds: float) -> Path:
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def test_a_whole_cache_holds_nothing_to_delete(tmp_path):
    filled(tmp_path)
    filled(tmp_path, layer="4")
    assert list(leftovers(tmp_path)) == []


def test_torn_files_of_writers_that_are_gone(tmp_path):
    entry = filled(tmp_path)
    remote, local = (entry.path / f".tmp-{by}-0123abcd" for by in ("some-other-host-12", f"{HOST}-{dead()}"))
    local.write_bytes(b"12345")
    remote.write_bytes(b"123")
    aged(remote, DAY + 60)
    for name in (f".tmp-{HOST}-{os.getpid()}-0123abcd", f".tmp-{HOST}-1-0123abcd", ".tmp-other-12-0123abcd"):
        (entry.path / name).touch()
    aged(entry.path / ".tmp-other-12-0123abcd", DAY - 60)
    reason = "left by a run that ended in the middle of writing it"
    assert {(item.path, item.bytes, item.reason) for item in leftovers(tmp_path)} == {
        (local, 5, reason),
        (remote, 3, reason),
    }


def test_shards_set_aside_and_shards_that_are_never_read(tmp_path):
    entry = filled(tmp_path)
    read = entry.shard_files()[1]
    aside = entry.path / f".corrupt-{read.name}"
    aside.write_bytes(b"1234")
    (entry.path / ".corrupt-manifest.json").write_bytes(b"12")
    double = read.with_name(read.name.replace(read.name.split(".")[1], "f" * 16))
    double.write_bytes(b"123")
    assert list(leftovers(tmp_path)) == [
        Removable(entry.path / ".corrupt-manifest.json", 2, "set aside: its bytes had changed on the disk"),
        Removable(aside, 4, "set aside: its bytes had changed on the disk"),
        Removable(double, 3, "never read: another file holds this shard"),
    ]


def test_a_duplicate_of_a_shard_in_the_manifest_is_waste(tmp_path):
    entry = filled(tmp_path)
    read = entry.shard_files()[1]
    double = read.with_name(read.name.replace(read.name.split(".")[1], "0" * 16))
    double.write_bytes(b"123")
    assert entry.shard_files()[1] == read  # even after a late writer
    assert list(leftovers(tmp_path)) == [Removable(double, 3, "never read: another file holds this shard")]


@pytest.mark.parametrize("shards", [0, 2])
def test_an_entry_that_is_not_complete(tmp_path, shards):
    entry = filled(tmp_path, shards)
    (entry.path / ".corrupt-manifest.json").write_bytes(b"12")  # deleted with the entry
    reason = f"incomplete: {shards} of 3 shards; the same extract would resume from there"
    assert list(leftovers(tmp_path)) == [Removable(entry.path, size(entry.path), reason)]


def test_an_entry_with_a_manifest_and_a_hole_is_not_complete(tmp_path):
    entry = filled(tmp_path)
    entry.shard_files()[0].unlink()
    (item,) = leftovers(tmp_path)
    assert item.reason == "incomplete: 2 of 3 shards; the same extract would resume from there"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"{", "its recipe cannot be read"),
        (b"[1]", "its recipe cannot be read"),
        (b"\xff", "its recipe cannot be read"),
        (b'{"rows": 3}', "its recipe cannot be read"),
        (b'{"format": 2}', "of format 2; this foresight reads format 1"),
        (b'{"format": "1"}', "of format '1'; this foresight reads format 1"),
        (b'{"format": 1}', "its recipe was edited"),
        (RECIPE.canonical().replace(b'"rows":10', b'"rows":11'), "its recipe was edited"),
        (RECIPE.canonical() + b"\n", "its recipe was edited"),
        (None, "incomplete: it has no recipe"),
    ],
)
def test_an_entry_whose_recipe_does_not_match_its_key(tmp_path, text, reason):
    entry = filled(tmp_path)
    recipe = entry.path / "recipe.json"
    recipe.write_bytes(text) if text is not None else recipe.unlink()
    assert list(leftovers(tmp_path)) == [Removable(entry.path, size(entry.path), reason)]


def test_an_empty_folder_of_an_entry_is_deleted_too(tmp_path):
    folder = tmp_path / RECIPE.folder
    folder.mkdir(parents=True)
    assert list(leftovers(tmp_path)) == [Removable(folder, 0, "incomplete: it has no recipe")]


# --- entries in use


def test_an_entry_that_somebody_fills_is_left_alone(tmp_path):
    busy, complete = filled(tmp_path, 1), filled(tmp_path, layer="4")
    (complete.path / f".tmp-{HOST}-{dead()}-0123abcd").touch()
    with lock.locked([busy.path, complete.path], lambda *_: pytest.fail("no other process holds it")):
        reason = f"process {os.getpid()} on {HOST} is filling it"
        assert list(leftovers(tmp_path)) == [Kept(complete.path, reason), Kept(busy.path, reason)]
        assert list(named(tmp_path, [busy.path.name], None)) == [Kept(busy.path, reason)]
    assert [item.path for item in leftovers(tmp_path)] == [next(complete.path.glob(".tmp-*")), busy.path]


@pytest.mark.parametrize("text", ['{"pid": 12, "host": "another"}', ""])
def test_a_lock_of_another_machine_counts_for_a_day(tmp_path, text):
    """Some network disks have no locks; there, only the lock file shows that another machine wrote."""
    entry = filled(tmp_path, 1)
    (entry.path / lock.NAME).write_text(text)
    reason = "another machine wrote to it less than a day ago, and may be filling it"
    assert list(leftovers(tmp_path)) == [Kept(entry.path, reason)]
    for path in entry.path.iterdir():
        aged(path, DAY + 60)
    assert [item.path for item in leftovers(tmp_path)] == [entry.path]


def test_the_lock_of_an_ended_process_of_this_machine_does_not_count(tmp_path):
    entry = filled(tmp_path, 1)
    (entry.path / lock.NAME).write_text(json.dumps({"pid": dead(), "host": HOST}))
    assert [type(item) for item in leftovers(tmp_path)] == [Removable]


# --- files that foresight did not write


def test_links_are_never_followed(tmp_path):
    outside = filled(tmp_path / "outside", 1)
    root = tmp_path / "cache"
    (root / "m" / "layer-final").mkdir(parents=True)
    (root / "linked").symlink_to(tmp_path / "outside/m")
    (root / "m/layer-4").symlink_to(tmp_path / "outside/m/layer-final")
    (root / "m/layer-final/flat").symlink_to(outside.path.parent)
    (root / "m/layer-8/flat").mkdir(parents=True)
    (root / "m/layer-8/flat" / outside.path.name).symlink_to(outside.path)
    assert entry_folders(root) == []
    assert list(leftovers(root)) == []


def test_an_entry_with_a_link_inside_is_left_alone(tmp_path):
    entry = filled(tmp_path, 2)
    moved = tmp_path / "elsewhere"
    entry.shard_files()[1].rename(moved)
    link = entry.path / "shard-00001-of-00003.0123456789abcdef.safetensors"
    link.symlink_to(moved)
    reason = f"it holds links ({link.name}), and links are not followed"
    assert list(leftovers(tmp_path)) == [Kept(entry.path, reason)]
    assert list(named(tmp_path, [entry.path.name], None)) == [Kept(entry.path, reason)]


def test_other_files_and_folders_do_not_count(tmp_path):
    entry = filled(tmp_path, 1)
    own = size(entry.path)
    for name in ("notes.txt", "shard-00000-of-00003.npy", ".tmp-x", ".corrupt-x"):
        (entry.path / name).write_bytes(b"mine")
    stays = ". Not foresight's and kept: .corrupt-x and 3 more"
    reason = "incomplete: 1 of 3 shards; the same extract would resume from there"
    assert list(leftovers(tmp_path)) == [Removable(entry.path, own, reason, stays=stays)]
    for folder in ("m/layer-4/flat/0123456789abcdeg", "m/4/flat/0123456789abcdef", "m/layer-4/flat/" + "0" * 16):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "notes.txt").touch()
    assert [item.path for item in leftovers(tmp_path)] == [entry.path]


def test_a_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    entry = filled(tmp_path, 1)
    plain = Path.iterdir

    def refuse(path):
        if path == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return plain(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    locked = entry.path
    assert list(leftovers(tmp_path)) == [Kept(entry.path, "it cannot be read: Permission denied")]
    locked = entry.path.parent
    with pytest.raises(ForesightError) as caught:
        list(leftovers(tmp_path))
    assert str(caught.value) == f"cannot list {entry.path.parent}: Permission denied"


# --- entries by name


def test_entries_by_the_first_digits_of_their_keys(tmp_path):
    whole, half = filled(tmp_path), filled(tmp_path, 1, layer="4")
    items = list(named(tmp_path, [half.path.name[:4], whole.path.name, whole.path.name[:5]], None))
    assert items == [
        Removable(
            half.path, size(half.path), "incomplete: 1 of 3 shards; the same extract would resume from there", True
        ),
        Removable(whole.path, size(whole.path), "complete, written less than a day ago", True),
    ]


def test_a_key_that_no_entry_has_or_several(tmp_path):
    entry = filled(tmp_path)
    with pytest.raises(ForesightError) as caught:
        list(named(tmp_path, ["00ff"], None))
    assert str(caught.value) == (
        f"no entry's key begins with 00ff. To see them: foresight cache ls cache_dir={tmp_path}"
    )
    twin = tmp_path / "m/layer-4/flat" / f"{entry.path.name[:6]}{'0' * 10}"
    twin.mkdir(parents=True)
    with pytest.raises(ForesightError) as caught:
        list(named(tmp_path, [entry.path.name[:6]], None))
    assert str(caught.value) == (
        f"2 entries' keys begin with {entry.path.name[:6]}: {twin}, {entry.path}. Give more digits"
    )


def test_entries_by_age(tmp_path):
    ages = {"4": 0.5, "8": 1.5, "16": 40.0}
    entries = {layer: filled(tmp_path, layer=layer) for layer in ages}
    filled(tmp_path, 1, layer="24")  # never complete: it has no age
    for layer, days in ages.items():
        aged(entries[layer].path / "manifest.json", days * DAY)
    assert [(item.path, item.reason, item.named) for item in named(tmp_path, [], DAY)] == [
        (entries["16"].path, "complete, written 40 days ago", True),
        (entries["8"].path, "complete, written yesterday", True),
    ]
    keys = [entries["4"].path.name[:8], entries["16"].path.name[:8]]
    assert [item.path for item in named(tmp_path, keys, DAY)] == [entries["16"].path]
