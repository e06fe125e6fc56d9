"""The faults that ``foresight cache verify`` reports of an entry."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from foresight_cli.data import Sample
from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry, Recipe, Shard
from foresight_cli.latents.samples import write_samples
from foresight_cli.latents.upkeep.check import faults

RECIPE = Recipe(model={"name": "m"}, layer="final", pooling="flat", data={"name": "d"}, rows=5, rows_per_shard=2)
SAMPLES = [Sample(f"s{i}", None, f"s{i}") for i in range(5)]
AGAIN = "Delete it and run the same extract again"


def shard(number: int, *, width: int = 3, dtype: torch.dtype = torch.bfloat16, skip: int | None = None) -> Shard:
    ids = [f"s{i}" for i in RECIPE.slice(number) if i != skip]
    skipped = [(f"s{i}", "torn") for i in RECIPE.slice(number) if i == skip]
    return Shard(ids, torch.ones(len(ids), width, dtype=dtype), torch.zeros(len(ids), 32).byte(), skipped)


def sealed(root: Path, *shards: Shard) -> Entry:
    entry = Entry.create(root, RECIPE)
    for number, rows in enumerate(shards or [shard(0), shard(1, skip=3), shard(2)]):
        entry.put(number, rows)
    entry.seal({"data": {"name": "d"}, "versions": {}})
    write_samples(entry.path, SAMPLES)
    return entry


def edited(entry: Entry, **changes) -> None:
    manifest = json.loads((entry.path / "manifest.json").read_bytes())
    (entry.path / "manifest.json").write_text(json.dumps({**manifest, **changes}))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_a_whole_entry_has_no_faults(tmp_path):
    assert faults(sealed(tmp_path)) == []


def test_an_incomplete_entry_has_no_faults(tmp_path):
    entry = Entry.create(tmp_path, RECIPE)
    assert faults(entry) == []
    entry.put(1, shard(1))
    assert faults(entry) == []


def test_a_bad_shard_is_set_aside_with_the_manifest_and_stays_a_fault_until_it_is_redone(tmp_path):
    entry = sealed(tmp_path)
    manifest = (entry.path / "manifest.json").read_bytes()
    bad = entry.shard_files()[1]
    flip(bad)
    expected = ["shard 1 is missing: its bytes had changed on the disk, and it was set aside"]
    assert faults(entry) == expected
    assert not bad.exists()
    assert (entry.path / f".corrupt-{bad.name}").exists()
    assert (entry.path / ".corrupt-manifest.json").read_bytes() == manifest
    assert not entry.complete
    assert faults(entry) == expected
    entry.put(1, shard(1, skip=3))
    assert faults(entry) == ["its manifest is missing: it was set aside with a shard whose bytes had changed"]
    entry.seal({"data": {"name": "d"}, "versions": {}})
    assert faults(entry) == []


@pytest.mark.parametrize("both", [True, False])
def test_the_other_file_of_a_shard_set_aside_is_checked_too(tmp_path, both):
    entry = sealed(tmp_path)
    first = entry.shard_files()[1]
    other = shard(1, skip=3)
    second = entry.put(1, Shard(other.ids, other.latents * 2, other.pixels, other.skipped))
    flip(first)
    if both:
        flip(second)
    lost = "its bytes had changed on the disk, and it was set aside"
    assert faults(entry) == [
        f"shard 1 is missing: {lost}"
        if both
        else "its manifest is missing: it was set aside with a shard whose bytes had changed"
    ]
    assert (first.exists(), second.exists()) == (False, not both)
    assert not entry.complete


def test_a_bad_shard_that_cannot_be_moved(tmp_path, monkeypatch):
    entry = sealed(tmp_path)
    bad = entry.shard_files()[1]
    flip(bad)
    plain = Path.replace

    def refuse(path, target):
        if path == bad:
            raise OSError(30, "Read-only file system")
        return plain(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    assert faults(entry) == [
        f"{bad} does not match its hash, and cannot be moved aside: Read-only file system. "
        "Delete it by hand and run the same extract again"
    ]


def test_a_shard_that_cannot_be_read(tmp_path, monkeypatch):
    entry = sealed(tmp_path)
    locked = entry.shard_files()[2]
    plain = Path.open

    def refuse(path, *args, **kwargs):
        if path == locked:
            raise PermissionError(13, "Permission denied")
        return plain(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    assert faults(entry) == [f"cannot read {locked.name}: Permission denied"]


def test_a_shard_that_was_deleted(tmp_path):
    entry = sealed(tmp_path)
    entry.shard_files()[2].unlink()
    assert faults(entry) == ["shard 2 is missing"]


def test_a_file_with_the_right_hash_that_is_not_a_shard(tmp_path):
    entry = sealed(tmp_path)
    for data, says in ((b"shard", "header too small"), (b"no shard", "header too large")):
        path = entry.shard_files()[0]
        path.unlink()
        path = path.with_name(f"shard-00000-of-00003.{hashlib.sha256(data).hexdigest()[:16]}.safetensors")
        path.write_bytes(data)
        (fault,) = faults(entry)
        assert fault == f"{path.name} is not a shard of latents: Error while deserializing header: {says}"


def test_rows_that_do_not_add_up(tmp_path):
    short = Shard(["s0"], torch.ones(1, 3), torch.zeros(1, 32).byte())
    entry = sealed(tmp_path, short, shard(1, dtype=torch.float32, skip=3), shard(2, dtype=torch.float32))
    assert faults(entry) == ["shard 0 holds 1 rows of 1 samples and leaves out 0; 2 samples belong there"]


def test_shards_of_two_widths_or_dtypes(tmp_path):
    with pytest.raises(ForesightError, match=r"^pooling=flat needs the same size for all samples: "):
        sealed(tmp_path / "a", shard(0), shard(1, width=4), shard(2))
    entry = sealed(tmp_path / "b", shard(0), shard(1, dtype=torch.float32), shard(2))
    assert faults(entry) == ["its shards hold latents of 2 kinds: 3 x BF16, 3 x F32"]


def test_a_manifest_that_lists_other_bytes(tmp_path):
    entry = sealed(tmp_path)
    rows = entry.manifest()["shards"]
    name = rows[2]["file"].replace(rows[2]["sha256"][:16], "0" * 16)
    for wrong in ({**rows[2], "bytes": 1}, {**rows[2], "sha256": "0" * 64, "file": name}):
        edited(entry, shards=[*rows[:2], wrong])
        assert faults(entry) == [f"manifest.json does not list the files that exist. {AGAIN}"]
    edited(entry, shards=rows)
    assert faults(entry) == []


def test_a_late_writer_with_other_bytes_changes_nothing(tmp_path):
    entry = sealed(tmp_path)
    read = entry.shard_files()
    for value in range(8):  # some of them have a smaller hash
        late = shard(0)
        entry.put(0, Shard(late.ids, torch.full((2, 3), value, dtype=torch.bfloat16), late.pixels))
    assert min(entry.path.glob("shard-00000*")) != read[0]
    assert entry.shard_files() == read
    assert faults(entry) == []


ROW = {"file": f"shard-00000-of-00003.{'a' * 16}.safetensors", "bytes": 1, "sha256": "a" * 64}


@pytest.mark.parametrize(
    "row",
    [
        1,
        {},
        {"file": []},
        {"file": "x"},
        ROW | {"file": f"../{ROW['file']}"},
        ROW | {"file": f"/etc/{ROW['file']}"},
        ROW | {"file": ROW["file"].replace("00000", "00001")},
        ROW | {"file": ROW["file"].replace("00003", "00009")},
        ROW | {"sha256": "b" * 64},
        ROW | {"sha256": "a" * 63},
        ROW | {"bytes": -1},
        ROW | {"bytes": "1"},
        ROW | {"bytes": 1e30},
    ],
)
def test_a_manifest_that_foresight_did_not_write(tmp_path, row):
    entry = sealed(tmp_path)
    rows = entry.manifest()["shards"]
    for shards in ([row, *rows[1:]], rows[:2], [*rows, rows[2]], [rows[1], rows[0], rows[2]], {"0": rows[0]}):
        edited(entry, shards=shards)
        assert faults(entry) == [f"{entry.path}/manifest.json does not list the shards. {AGAIN}"]


def test_a_manifest_with_other_skipped_samples(tmp_path):
    entry = sealed(tmp_path)
    edited(entry, skipped=[])
    assert faults(entry) == [f"manifest.json and the shards list different skipped samples. {AGAIN}"]


def test_a_manifest_without_provenance(tmp_path):
    entry = sealed(tmp_path)
    edited(entry, provenance={})
    assert faults(entry) == [
        f"{entry.path}: the provenance is missing from its manifest; delete the folder and extract the latents "
        "again, or bring your own latents with model=precomputed model.path=FILE"
    ]


def test_a_table_of_samples_that_is_missing_or_of_other_data(tmp_path):
    entry = sealed(tmp_path)
    write_samples(entry.path, [SAMPLES[0], SAMPLES[2], SAMPLES[1], *SAMPLES[3:]])
    assert faults(entry) == [
        f"samples.json and shard 0 list different samples. {AGAIN}",
        f"samples.json and shard 1 list different samples. {AGAIN}",
    ]
    (entry.path / "samples.json").unlink()
    assert faults(entry) == [f"{entry.path}/samples.json is missing: run the same extract again"]


def test_it_brings_no_torch(tmp_path):
    entry = sealed(tmp_path)
    flip(entry.shard_files()[0])
    code = (
        "import sys\nfrom pathlib import Path\nfrom foresight_cli.latents import Entry\n"
        "from foresight_cli.latents.upkeep.check import faults\n"
        "print(len(faults(Entry.open(Path(sys.argv[1])))), 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code, entry.path], capture_output=True, text=True, check=True)
    assert result.stdout == "1 False\n"
