"""A stored entry of each format: the current format is read exactly, every other is refused in one line."""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from foresight_cli.data.shapes import Shapes
from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry, load
from foresight_cli.latents.recipe import FORMAT
from foresight_cli.latents.upkeep.check import faults
from scripts.make_golden_entry import GOLDEN, WORDS

KEY = "064ab9832c037e4e66d9acc81b991a6574693a3c27269a164fbcf8a03ff469b4"
ENTRY = GOLDEN / "format-1" / "pixels" / "layer-final" / "flat" / KEY[:16]
FILES = {
    "manifest.json": "b27ec095d10b366e",
    "recipe.json": KEY,
    "samples.json": "adb7cfcdba71f1a4",
    "shard-00000-of-00002.3b636e7ebb71b47c.safetensors": "3b636e7ebb71b47c",
    "shard-00001-of-00002.7546d5811ae7f5db.safetensors": "7546d5811ae7f5db",
}
IDS = [f"{shape}-0000" for shape in ("circle", "square", "triangle", "cross", "ring", "star", "semicircle", "bar")]
VALUES = "ad1eb5f4dbb3abd169912ca5259226a2f767b4f4c97fe7a99d7465990342c7fa"
PIXELS = "0b62d4dd779d1028337bdb10b7f7e6c83df297a457f4f90f63c6845236f8dba9"
FIRST = [232, 230, 228, 226, 223, 221, 219, 216, 232, 229, 227, 225, 223, 220, 218, 216]
"""The red of the circle's thumbnail, its two top rows, in 255ths."""


def test_the_files_are_those_of_the_day():
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in ENTRY.iterdir()}
    assert digests.keys() == FILES.keys()
    assert {name: digests[name][: len(start)] for name, start in FILES.items()} == FILES
    assert [path.name for path in GOLDEN.glob("format-*")] == [f"format-{n}" for n in range(1, FORMAT + 1)]


def test_it_is_read_to_the_last_bit():
    latents = load(ENTRY)
    assert latents.ids == IDS
    assert latents.labels == [name.removesuffix("-0000") for name in IDS]
    assert latents.groups == IDS
    values = latents.values.numpy()
    assert (values.shape, values.dtype) == ((8, 192), np.float32)
    assert hashlib.sha256(values.tobytes()).hexdigest() == VALUES
    assert values[0, :16].tolist() == (np.array(FIRST, dtype=np.float32) / np.float32(255)).tolist()
    assert latents.pixels.shape == (8, 32)
    assert hashlib.sha256(latents.pixels.numpy().tobytes()).hexdigest() == PIXELS
    assert sorted(latents.attributes) == ["hue", "size", "x", "y"]
    assert latents.attributes["hue"].tolist()[:2] == [0.017933265053693963, 0.5691266323881624]
    assert faults(Entry.open(ENTRY)) == []


def test_it_matches_the_drawings():
    """Each value is the mean of four columns, then of four rows, each to the nearest 255th with halves up."""
    shapes, values = Shapes(per_category=1, size=32), load(ENTRY).values.numpy().reshape(8, 3, 8, 8)
    for row in range(8):
        picture = np.asarray(shapes.image(row), dtype=np.float64)
        columns = np.floor(picture.reshape(32, 8, 4, 3).mean(axis=2) + 0.5)
        cells = np.floor(columns.reshape(8, 4, 8, 3).mean(axis=1) + 0.5).transpose(2, 0, 1)
        assert (values[row] == cells.astype(np.float32) / np.float32(255)).all()
        digest = hashlib.sha256(b"(32, 32)" + np.asarray(shapes.image(row)).tobytes()).digest()
        assert load(ENTRY).pixels[row].numpy().tobytes() == digest


def test_it_is_read_without_foresight_too():
    """The entry is read with only the definition of the safetensors format and JSON."""
    ids, rows = [], []
    for path in sorted(ENTRY.glob("shard-*")):
        data = path.read_bytes()
        (size,) = struct.unpack("<Q", data[:8])
        header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
        assert header.pop("__metadata__") == {"foresight": "shard"}
        parts = {name: body[slice(*tensor["data_offsets"])] for name, tensor in header.items()}
        assert {name: tensor["dtype"] for name, tensor in header.items()} == {
            "latents": "F32",
            "pixels": "U8",
            "samples": "U8",
        }
        names = json.loads(parts["samples"])
        assert names.keys() == {"ids", "skipped"}
        ids += names["ids"]
        rows.append(np.frombuffer(parts["latents"], "<f4").reshape(header["latents"]["shape"]))
    assert ids == IDS
    assert hashlib.sha256(np.concatenate(rows).tobytes()).hexdigest() == VALUES


def test_a_fresh_extract_of_the_same_settings_writes_the_same_bytes(run, tmp_path):
    assert run("extract", *WORDS).exit_code == 0
    (fresh,) = tmp_path.glob("outputs/cache/*/*/*/*")
    assert fresh.relative_to(tmp_path / "outputs/cache") == ENTRY.relative_to(GOLDEN / "format-1")
    same = [name for name in FILES if name != "manifest.json"]  # which describes this machine
    assert {name: (fresh / name).read_bytes() for name in same} == {name: (ENTRY / name).read_bytes() for name in same}
    old, new = (json.loads((folder / "manifest.json").read_bytes()) for folder in (ENTRY, fresh))
    assert {**new, "provenance": None} == {**old, "provenance": None}
    assert new["provenance"].keys() == old["provenance"].keys()


def test_an_entry_of_another_format_is_refused():
    for version in range(1, FORMAT):
        for recipe in (GOLDEN / f"format-{version}").glob("*/*/*/*/recipe.json"):
            with pytest.raises(ForesightError) as caught:
                Entry.open(recipe.parent)
            assert str(caught.value) == f"a recipe of format {version}; this foresight reads format {FORMAT}"


def test_it_is_never_made_again():
    before = {path: path.read_bytes() for path in ENTRY.iterdir()}
    command = [sys.executable, "-m", "scripts.make_golden_entry"]
    root = Path(__file__).resolve().parents[2]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"{GOLDEN / f'format-{FORMAT}'} exists already, and is never made again. "
        "A new format is a new folder: raise FORMAT first\n"
    )
    assert {path: path.read_bytes() for path in ENTRY.iterdir()} == before
