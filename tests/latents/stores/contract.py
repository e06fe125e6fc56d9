"""The contract of every store. A backend's test class inherits these tests and gives the root of its store."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.latents import CorruptShard, Entry, Recipe, RowReader, Shard, entries, load
from foresight_cli.latents.samples import write_samples
from foresight_cli.latents.storage.lock import held, locked
from foresight_cli.latents.store import folders
from foresight_cli.latents.upkeep.check import faults
from foresight_cli.latents.upkeep.gc import Kept, Removable, leftovers, named
from foresight_cli.latents.upkeep.removal import remove

RECIPE = Recipe(model={"name": "m"}, layer="final", pooling="flat", data={"name": "d"}, rows=10, rows_per_shard=4)
PROVENANCE = {"data": {"name": "d"}, "versions": {}}


@dataclasses.dataclass(frozen=True)
class Sample:
    id: str
    label: str | None = None
    attributes: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def group(self) -> str:
        return self.id


def shard(number: int, factor: float = 1.0) -> Shard:
    rows = RECIPE.slice(number)
    latents = factor * torch.tensor(list(rows), dtype=torch.float32)[:, None] * torch.ones(1, 3)
    return Shard([f"s{row}" for row in rows], latents, torch.zeros(len(rows), 32, dtype=torch.uint8))


def filled(root: Path, numbers=(0, 1, 2), *, seal: bool = True, recipe: Recipe = RECIPE) -> Entry:
    entry = Entry.create(root, recipe)
    for number in numbers:
        entry.put(number, shard(number))
    write_samples(entry.path, [Sample(f"s{row}") for row in range(10)])
    if seal:
        entry.seal(PROVENANCE)
    return entry


def visible(entry: Entry) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in entry.path.iterdir() if not path.name.startswith(".")}


class StoreContract:
    """Inherit it as ``class TestX(StoreContract)`` with a fixture ``root``: an empty folder on the store."""

    def test_life_of_an_entry(self, root):
        entry = Entry.create(root, RECIPE)
        assert entry.missing() == [0, 1, 2]
        path = entry.put(1, shard(1))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert path.name == f"shard-00001-of-00003.{digest[:16]}.safetensors"
        assert entry.missing() == [0, 2]
        assert not entry.complete
        assert filled(root) == entry == Entry.open(entry.path)
        assert entry.complete
        assert entry.manifest()["shards"][1] == {"file": path.name, "bytes": len(path.read_bytes()), "sha256": digest}
        assert faults(entry) == []

    def test_the_bytes_are_those_of_a_local_cache(self, root, tmp_path):
        assert visible(filled(root)) == visible(filled(tmp_path / "local"))

    def test_rows_come_back(self, root):
        entry = filled(root)
        whole = load(entry)
        assert list(whole.ids) == [f"s{i}" for i in range(10)]
        assert torch.equal(whole.values[:, 0], torch.arange(10.0))
        assert torch.equal(load(str(entry.path)).values, whole.values)
        reader = RowReader(entry)
        rows = torch.tensor([9, 0, 5, 4, 5])
        reader.expect(rows)
        assert torch.equal(reader[rows], whole.values[rows])

    def test_entries_are_found(self, root):
        assert list(entries(root)) == []
        recipes = [dataclasses.replace(RECIPE, layer=layer) for layer in ("4", "8")]
        made = [filled(root, recipe=recipe, seal=False) for recipe in recipes]
        (root / "a note.txt").write_bytes(b"1")
        assert list(entries(root)) == sorted(made, key=lambda entry: str(entry.path))
        assert folders(root) == sorted((entry.path for entry in made), key=str)

    def test_writers_side_by_side_agree(self, root):
        def write(order) -> None:
            entry = Entry.create(root, RECIPE)
            for number in order:
                entry.put(number, shard(number))
            if not entry.missing():
                entry.seal(PROVENANCE)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(write, [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1), (2, 0, 1), (1, 2, 0)]))
        entry = Entry.open(root.joinpath(*RECIPE.folder.parts))
        assert entry.complete
        write_samples(entry.path, [Sample(f"s{row}") for row in range(10)])
        assert faults(entry) == []
        assert len([path for path in entry.path.iterdir() if path.name.startswith("shard")]) == 3

    def test_writers_that_disagree_leave_one_whole_entry(self, root):
        def write(factor: float) -> None:
            entry = Entry.create(root, RECIPE)
            for number in range(3):
                entry.put(number, shard(number, factor))
            entry.seal(PROVENANCE)

        with ThreadPoolExecutor(5) as pool:
            list(pool.map(write, [1.0, 2.0, 3.0, 4.0, 5.0]))
        entry = Entry.open(root.joinpath(*RECIPE.folder.parts))
        before = entry.shard_files()
        entry.put(1, shard(1, 6.0))  # a late writer
        assert entry.shard_files() == before
        assert [row["file"] for row in entry.manifest()["shards"]] == [before[i].name for i in range(3)]
        assert len(load_values(entry)) == 10

    def test_a_damaged_shard_is_set_aside_and_redone_alone(self, root):
        entry = filled(root)
        bad = entry.shard_files()[1]
        data = bytearray(bad.read_bytes())
        data[-1] ^= 1
        bad.write_bytes(bytes(data))
        assert [fault[:18] for fault in faults(entry)] == ["shard 1 is missing"]
        assert not entry.complete
        assert entry.missing() == [1]
        assert bad.with_name(f".corrupt-{bad.name}").exists()
        entry.put(1, shard(1))
        entry.seal(PROVENANCE)
        assert faults(entry) == []

    def test_a_read_refuses_damage(self, root, monkeypatch, tmp_path):
        entry = filled(root)
        bad = entry.shard_files()[2]
        bad.write_bytes(bad.read_bytes()[:-1])
        monkeypatch.setenv("FORESIGHT_READ_CACHE", str(tmp_path / "another machine"))
        with pytest.raises(CorruptShard, match=r"does not match its hash"):
            entry.get(2)
        assert entry.missing() == [2]

    def test_an_edited_recipe_is_refused(self, root):
        entry = filled(root)
        path = entry.path / "recipe.json"
        path.write_bytes(RECIPE.canonical().replace(b'"rows":10', b'"rows":11'))
        with pytest.raises(ForesightError, match=r"it was edited"):
            Entry.create(root, RECIPE)
        with pytest.raises(ForesightError, match=r"it was edited"):
            Entry.open(entry.path)

    @pytest.mark.parametrize("text", [b"[" * 100_000, b"{}", b"\xff", b'{"key": 1}', b"null"])
    def test_a_hostile_manifest_is_refused(self, root, text):
        entry = filled(root)
        (entry.path / "manifest.json").write_bytes(text)
        with pytest.raises(ForesightError, match=r"manifest.json"):
            load(entry)

    @pytest.mark.parametrize(
        "change",
        [
            {"file": "../../../../etc/passwd"},
            {"file": f"shard-00000-of-00003.{'0' * 16}.safetensors/../../x"},
            {"bytes": -1},
            {"sha256": "../" * 21 + "x"},
        ],
    )
    def test_a_manifest_that_points_elsewhere_is_refused(self, root, change):
        entry = filled(root)
        manifest = json.loads((entry.path / "manifest.json").read_bytes())
        manifest["shards"][0] |= change
        (entry.path / "manifest.json").write_bytes(json.dumps(manifest).encode())
        with pytest.raises(ForesightError, match=r"does not list the shards"):
            load(entry)

    def test_leftovers_of_killed_writers_are_deleted(self, root):
        entry = filled(root, (0, 1), seal=False)
        items = [item for item in leftovers(root) if isinstance(item, Removable | Kept)]
        assert len(items) == 1
        if isinstance(items[0], Kept):  # without locks another machine may be filling a young entry
            assert "may be filling it" in items[0].reason
            return
        assert items[0].reason == "incomplete: 2 of 3 shards; the same extract would resume from there"
        assert remove(items[0], root) is None
        assert list(entries(root)) == []
        assert not (entry.path / "recipe.json").exists()

    def test_a_complete_entry_is_deleted_by_name(self, root):
        entry = filled(root)
        assert list(leftovers(root)) == []
        (item,) = named(root, [RECIPE.key[:6]], None)
        assert isinstance(item, Removable)
        assert item.bytes == sum(len(path.read_bytes()) for path in entry.path.iterdir())
        assert list(named(root, [], 3600.0)) == []
        assert remove(item, root) is None
        assert list(entries(root)) == []

    def test_locks_block_no_one(self, root):
        entry = filled(root, (), seal=False)
        with locked([entry.path], lambda *_: pytest.fail("no other process holds it")):
            pass
        assert held(entry.path) is None


def load_values(entry: Entry) -> torch.Tensor:
    return torch.cat([shard.latents for shard in entry.shards()])
