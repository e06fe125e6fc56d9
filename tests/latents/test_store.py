"""The cache's protocol: whole files under their names, hashes in the names, the manifest last."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foresight_cli.errors import ForesightError
from foresight_cli.latents import CorruptShard, Entry, Recipe, Shard, entries

RECIPE = Recipe(model={"name": "m"}, layer="final", pooling="flat", data={"name": "d"}, rows=10, rows_per_shard=4)
PROVENANCE = {"data": {"name": "d"}, "versions": {}, "device": "cpu"}


def make(number: int) -> Shard:
    rows = RECIPE.slice(number)
    latents = torch.tensor(list(rows), dtype=torch.float32)[:, None] * torch.ones(1, 3)
    return Shard([f"s{row}" for row in rows], latents, torch.zeros(len(rows), 32, dtype=torch.uint8))


def filled(root: Path) -> Entry:
    entry = Entry.create(root, RECIPE)
    for number in entry.missing():
        entry.put(number, make(number))
    entry.seal(PROVENANCE)
    return entry


def visible(entry: Entry) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in entry.path.iterdir() if not path.name.startswith(".")}


def test_life_of_an_entry(tmp_path):
    entry = Entry.create(tmp_path, RECIPE)
    assert entry.path == tmp_path / "m/layer-final/flat" / RECIPE.key[:16]
    assert (entry.path / "recipe.json").read_bytes() == RECIPE.canonical()
    assert entry.missing() == [0, 1, 2]
    assert not entry.complete
    path = entry.put(1, make(1))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.name == f"shard-00001-of-00003.{digest[:16]}.safetensors"
    assert entry.missing() == [0, 2]
    entry.put(0, dataclasses.replace(make(0), skipped=[("s3", "truncated")]))
    entry.put(2, make(2))
    assert entry.missing() == []
    assert not entry.complete
    entry.seal(PROVENANCE)
    assert entry.complete
    manifest = entry.manifest()
    assert manifest["key"] == RECIPE.key
    assert manifest["skipped"] == [["s3", "truncated"]]
    assert manifest["provenance"] == PROVENANCE
    assert manifest["shards"][1] == {"file": path.name, "bytes": path.stat().st_size, "sha256": digest}
    assert list(entry.get(1).ids) == ["s4", "s5", "s6", "s7"]
    assert torch.equal(entry.get(2).latents, make(2).latents)


def test_the_order_of_commits_leaves_no_trace(tmp_path):
    first = filled(tmp_path / "a")
    entry = Entry.create(tmp_path / "b", RECIPE)
    for number in (2, 0, 1, 0):
        entry.put(number, make(number))
    entry.seal(PROVENANCE)
    assert visible(entry) == visible(first)


def test_create_and_open_agree(tmp_path):
    entry = filled(tmp_path)
    assert Entry.create(tmp_path, RECIPE) == entry
    assert Entry.open(entry.path) == entry
    assert list(entries(tmp_path)) == [entry]


def test_entries_are_listed_in_order(tmp_path):
    recipes = [dataclasses.replace(RECIPE, layer=layer) for layer in ("8", "16", "4")]
    made = [Entry.create(tmp_path, recipe) for recipe in recipes]
    assert list(entries(tmp_path)) == sorted(made, key=lambda entry: entry.path)


def test_seal_refuses_a_hole(tmp_path):
    entry = Entry.create(tmp_path, RECIPE)
    entry.put(1, make(1))
    with pytest.raises(ForesightError) as caught:
        entry.seal({})
    assert str(caught.value) == f"cannot seal {entry.path}: shards [0, 2] are missing"


def test_get_of_a_missing_shard(tmp_path):
    entry = Entry.create(tmp_path, RECIPE)
    with pytest.raises(ForesightError) as caught:
        entry.get(0)
    assert str(caught.value) == f"shard 0 of {entry.path} is missing: run the same extract again"


def test_open_of_no_entry(tmp_path):
    with pytest.raises(ForesightError) as caught:
        Entry.open(tmp_path)
    assert str(caught.value) == f"{tmp_path} is not a cache entry: it has no recipe.json"


@pytest.mark.parametrize("edit", [RECIPE.canonical().replace(b'"rows":10', b'"rows":11'), RECIPE.canonical() + b"\n"])
def test_edited_recipe_is_refused(tmp_path, edit):
    entry = filled(tmp_path)
    path = entry.path / "recipe.json"
    path.write_bytes(edit)
    says = f"{path} does not match the key in the name of its folder: it was edited. Delete {entry.path}"
    with pytest.raises(ForesightError) as caught:
        Entry.create(tmp_path, RECIPE)
    assert str(caught.value) == says
    if b"11" in edit:
        with pytest.raises(ForesightError) as caught:
            Entry.open(entry.path)
        assert str(caught.value) == says


@pytest.mark.parametrize("text", ["{", "[1]", "3", '{"format": 1}', "\x00"])
def test_unreadable_recipe_is_one_line(tmp_path, text):
    entry = filled(tmp_path)
    (entry.path / "recipe.json").write_text(text)
    with pytest.raises(ForesightError) as caught:
        Entry.open(entry.path)
    assert len(str(caught.value).splitlines()) == 1


def test_manifest_of_an_incomplete_entry(tmp_path):
    entry = Entry.create(tmp_path, RECIPE)
    with pytest.raises(ForesightError) as caught:
        entry.manifest()
    assert str(caught.value) == f"{entry.path} is not complete: run the same extract again"


def test_manifest_of_another_entry(tmp_path):
    entry = filled(tmp_path)
    path = entry.path / "manifest.json"
    path.write_text(json.dumps({**entry.manifest(), "key": "0" * 64}))
    with pytest.raises(ForesightError) as caught:
        entry.manifest()
    assert str(caught.value) == f"{path} belongs to another recipe. Delete it and run the same extract again"


# --- bits that flip


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_found_and_only_its_shard_redone(tmp_path, data):
    entry = filled(tmp_path)
    whole = visible(entry)
    number = data.draw(st.integers(0, 2), label="shard")
    path = entry.shard_files()[number]
    bit = data.draw(st.integers(0, path.stat().st_size * 8 - 1), label="bit")
    flipped = bytearray(path.read_bytes())
    flipped[bit // 8] ^= 1 << bit % 8
    path.write_bytes(flipped)
    with pytest.raises(CorruptShard) as caught:
        entry.get(number)
    assert str(caught.value) == (
        f"{path} does not match its hash: its bytes changed on the disk. It was moved aside; "
        f"run the same extract again to redo only shard {number}"
    )
    aside = path.with_name(f".corrupt-{path.name}")
    assert aside.read_bytes() == flipped
    assert entry.missing() == [number]
    assert not entry.complete
    aside.unlink()
    assert visible(filled(tmp_path)) == whole


def test_a_cut_or_grown_file_is_found(tmp_path):
    for change in (lambda data: data[:-1], lambda data: b"", lambda data: data + b"\0"):
        entry = filled(tmp_path)
        path = entry.shard_files()[1]
        path.write_bytes(change(path.read_bytes()))
        with pytest.raises(CorruptShard):
            entry.get(1)


def test_two_writers_that_disagree_are_visible_and_read_alike(tmp_path):
    entry = filled(tmp_path)
    other = Shard(["s0", "s1", "s2", "s3"], torch.full((4, 3), 9.0), torch.zeros(4, 32, dtype=torch.uint8))
    entry.put(0, other)
    names = sorted(path.name for path in entry.path.glob("shard-00000*"))
    assert len(names) == 2
    assert entry.shard_files()[0].name == names[0]
    assert entry.complete


def test_names_with_a_dot_and_foreign_files_are_passed_over(tmp_path):
    entry = Entry.create(tmp_path, RECIPE)
    named = "shard-00000-of-00003." + "0" * 16 + ".safetensors"
    for name in (".tmp-x", f".{named}", f"{named}.part", named.replace("00003", "00004"), "notes.txt"):
        (entry.path / name).write_bytes(b"x")
    assert entry.missing() == [0, 1, 2]


# --- kills


WRITERS = f"""
import os, random, signal, sys, time
import torch
from pathlib import Path
from foresight_cli.latents import Entry, Recipe, Shard

recipe = Recipe(**{dataclasses.asdict(dataclasses.replace(RECIPE, rows=160))!r})

def fill(root):
    entry = Entry.create(Path(root), recipe)
    for number in entry.missing():
        rows = recipe.slice(number)
        latents = torch.full((len(rows), 3000), float(number))
        entry.put(number, Shard([f"s{{row}}" for row in rows], latents, torch.zeros(len(rows), 32, dtype=torch.uint8)))
    entry.seal({{}})

def start(root):
    child = os.fork()
    if child == 0:
        fill(root)
        os._exit(0)
    return child

chance = random.Random(0)
for kill in range(10):
    pair = [start("torn"), start("torn")]
    for child in pair:
        time.sleep(chance.uniform(0, 0.01))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    print(len(list(Path("torn").rglob("shard-*"))))
pair = [start("torn"), start("torn")]
print([os.waitpid(child, 0)[1] for child in pair])
fill("whole")
"""


def test_two_writers_killed_at_random_moments_end_in_the_same_bytes(tmp_path):
    result = subprocess.run([sys.executable, "-c", WRITERS], cwd=tmp_path, capture_output=True, text=True, check=True)
    *done, ended = result.stdout.splitlines()
    assert ended == "[0, 0]"
    assert any(0 < int(shards) < 40 for shards in done), done
    (torn,), (whole,) = entries(tmp_path / "torn"), entries(tmp_path / "whole")
    assert visible(torn) == visible(whole)
    assert len(visible(whole)) == 40 + 2
