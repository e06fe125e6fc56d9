"""Latents in many files: folders, patterns, and the layout of clip-retrieval."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy

from foresight_cli.errors import ForesightError
from foresight_cli.latent_file import Undecided, open_latent_file
from foresight_cli.latent_file.parted import PartedFile

VALUES = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float16)
IDS = [f"i{row}" for row in range(24)]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def rows(part: int) -> slice:
    """Write parts of two rows each."""
    return slice(2 * part, 2 * part + 2)


def one_part(path: str, part: int, values=VALUES, **columns) -> None:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    ids, some = IDS[rows(part)], values[rows(part)]
    if file.suffix == ".npz":
        np.savez(file, ids=ids, values=some, **columns)
    elif file.suffix == ".npy":
        np.save(file, some)
        file.with_suffix(".csv").write_text("\n".join(["id", *ids]))
    elif file.suffix == ".safetensors":
        safetensors.numpy.save_file({"values": some}, file, metadata={"ids": json.dumps(ids)})
    else:
        pq.write_table(pa.table({"id": ids, "emb": list(some), **columns}), file)


def clip_retrieval(root: str, parts, numbers="{}", metadata=None, **columns) -> None:
    """Write the files of ``clip-retrieval inference``."""
    for part in parts:
        number = numbers.format(part)
        for kind, values in (("img_emb", VALUES), ("text_emb", -VALUES)):
            Path(root, kind).mkdir(parents=True, exist_ok=True)
            np.save(Path(root, kind, f"{kind}_{number}.npy"), values[rows(part)])
    Path(root, "metadata").mkdir(exist_ok=True)
    for part in parts if metadata is None else metadata:
        table = {"image_path": IDS[rows(part)], "caption": ["a dog", "7"], "width": [640, 480], **columns}
        pq.write_table(pa.table(table), Path(root, "metadata", f"metadata_{numbers.format(part)}.parquet"))


def message(path: str, **named) -> str:
    with pytest.raises(ForesightError) as caught:
        open_latent_file(path, **named).sha256  # noqa: B018 (the values are read for it)
    return str(caught.value)


def whole(count: int, values=VALUES) -> str:
    """Return the hash of one file with all rows."""
    np.savez("whole.npz", ids=IDS[: 2 * count], values=values[: 2 * count])
    return open_latent_file("whole.npz").sha256


# --- contents


@pytest.mark.parametrize("suffix", ["npz", "npy", "safetensors", "parquet"])
def test_a_folder_of_parts_is_one_file(suffix):
    for part in range(12):
        one_part(f"emb/part-{part}.{suffix}", part)
    file = open_latent_file("emb")
    assert file.table.ids == IDS  # part-2 before part-10
    assert (file.shape, file.dtype) == ((24, 3), "float16")
    assert file.sha256 == whole(12)
    np.testing.assert_array_equal(file.values[3:21], VALUES[3:21])
    np.testing.assert_array_equal(file.values[23], VALUES[23])
    assert file.notes[0] == f"emb: 12 files, part-0.{suffix} to part-11.{suffix}"


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("emb/*.parquet", range(12)),
        ("emb/train-0000[0-4]-of-*.parquet", range(5)),
        ("emb/train-000{03..11}-of-00012.parquet", range(3, 12)),
        ("emb/train-000{01,00}-of-00012.parquet", [1, 0]),
        ("**/*.parquet", range(12)),
    ],
)
def test_patterns(path, parts):
    for part in range(12):
        one_part(f"emb/train-{part:05d}-of-00012.parquet", part)
    file = open_latent_file(path)
    assert file.table.ids == [sample_id for part in parts for sample_id in IDS[rows(part)]]
    np.testing.assert_array_equal(file.values[0], VALUES[2 * next(iter(parts))])


def test_the_layout_of_clip_retrieval():
    clip_retrieval("run", range(12))
    file = open_latent_file("run", values="img_emb")
    assert file.table.ids == IDS
    assert file.table.attributes["width"].tolist() == [640, 480] * 12
    assert file.notes == (
        "run: 12 files, img_emb_0.npy to img_emb_11.npy",
        "run: ids are image_path; left alone: caption",
    )
    assert isinstance(file, PartedFile)
    assert all(isinstance(part.values, np.memmap) for part in file.parts)
    assert file.sha256 == whole(12)
    assert open_latent_file("run/img_emb").sha256 == open_latent_file("run/img_emb/*.npy").sha256 == file.sha256
    assert open_latent_file("run", values="text_emb").sha256 == whole(12, -VALUES)
    assert open_latent_file("run/img_emb/img_emb_7.npy").table.ids == IDS[14:16]
    assert message("run") == (
        "run holds img_emb, text_emb: which are the values? Add model.values=img_emb or model.values=text_emb"
    )


def test_the_layout_of_clip_retrieval_in_one_folder():
    clip_retrieval("run", range(11), numbers="{:03d}", key=["x", "y"])
    Path("flat").mkdir()
    for file in Path("run").glob("*/*"):
        file.rename(Path("flat", file.name))
    Path("flat/README.txt").write_text("")
    pairs = open_latent_file("flat", values="img_emb", id="image_path")
    assert pairs.sha256 == whole(11)
    assert "flat: left alone: README.txt" not in pairs.notes  # text_emb_000.npy and others come first
    assert pairs.notes[-1].startswith("flat: left alone: README.txt, text_emb_000.npy, ")
    assert message("flat", values="emb").startswith("flat holds img_emb, text_emb: which are the values? Add ")


def test_an_attribute_that_a_part_lacks_has_no_numbers_there():
    clip_retrieval("run", range(2))
    table = {"image_path": IDS[2:4], "caption": ["a", "b"], "width": pa.nulls(2)}
    pq.write_table(pa.table(table), "run/metadata/metadata_1.parquet")
    file = open_latent_file("run/img_emb")
    np.testing.assert_array_equal(file.table.attributes["width"], [640, 480, np.nan, np.nan])
    assert "run/img_emb: width is not a number in img_emb_1.npy: it is NaN in those rows" in file.notes


def test_parts_of_spark_and_of_other_runs():
    for part in range(3):
        one_part(f"emb/part-{part:05d}-c0ffee12-c000.snappy.parquet", part)
    for name in ("_SUCCESS", "_metadata", ".part-00000-c0ffee12-c000.snappy.parquet.crc"):
        Path("emb", name).write_bytes(b"")
    assert open_latent_file("emb").table.ids == IDS[:6]
    one_part("years/emb-2019.npz", 0)
    one_part("years/emb-2023.npz", 1)
    assert open_latent_file("years").table.ids == IDS[:4]  # more gaps than files: not a sequence
    one_part("alone/img_emb_3.npz", 0)
    assert open_latent_file("alone").table.ids == IDS[:2]


def test_memory_holds_one_part_while_hashing():
    for part in range(3):
        one_part(f"emb/{part}.npz", part)
    file = open_latent_file("emb")
    assert file.sha256 == whole(3)
    assert not any("values" in vars(part) for part in file.parts)


# --- refusals


def others(path: str, rows: list[int], **named) -> str:
    """Return the refusal of ``path``; check that the advised setting takes the existing parts."""
    text, _, word = message(path, **named).partition(". For only the existing ones, add ")
    (setting,) = shlex.split(word)
    taken = open_latent_file(setting.removeprefix("model.path=").strip("'"))
    assert taken.table.ids == [IDS[row] for part in rows for row in (2 * part, 2 * part + 1)]
    return f"{text} | {word}"


def test_parts_that_are_missing_and_how_to_take_the_others():
    for part in (0, 1, 2, 4, 6):
        one_part(f"emb/part-{part:02d}.npz", part)
    pattern = "\"model.path='emb/part-{00..02,04,06}.npz'\""
    assert others("emb", [0, 1, 2, 4, 6]) == f"emb: part-03.npz is missing, and 1 more | {pattern}"
    assert others("emb/*.npz", [0, 1, 2, 4, 6]).endswith(pattern)
    clip_retrieval("run", (0, 1, 2), metadata=(0, 1, 2, 3))
    assert others("run", [0, 1, 2], values="img_emb") == (
        "run/img_emb: img_emb_3.npy is missing: only run/metadata/metadata_3.parquet exists | "
        "\"model.path='run/img_emb/img_emb_{0..2}.npy'\""
    )
    clip_retrieval("bare", (0, 1, 2), metadata=(0, 2))
    assert others("bare", [0, 2], values="img_emb") == (
        "bare/metadata: metadata_1.parquet is missing: bare/img_emb/img_emb_1.npy has no ids without it | "
        "\"model.path='bare/img_emb/img_emb_{0,2}.npy'\""
    )
    one_part("of/train-00000-of-00002.parquet", 0)
    assert others("of", [0]) == (
        "of: train-00001-of-00002.parquet is missing | model.path=of/train-00000-of-00002.parquet"
    )
    assert others("of/*", [0]).startswith("model.path=of/*: train-00001-of-00002.parquet is missing | ")
    with pytest.raises(Undecided) as caught:
        open_latent_file("of/*", at="data")
    assert str(caught.value).startswith("data.path=of/*: train-00001-of-00002.parquet is missing. ")
    assert str(caught.value.of("source.model")) == (  # the setting that was typed
        "source.model.path=of/*: train-00001-of-00002.parquet is missing. For only the existing ones, add "
        "source.model.path=of/train-00000-of-00002.parquet"
    )
    one_part("index/values-1.safetensors", 0)
    weights = {"weight_map": {"values": "values-1.safetensors", "more": "values-2.safetensors"}}
    Path("index/model.safetensors.index.json").write_text(json.dumps(weights))
    assert others("index", [0]) == (
        "index: values-2.safetensors is missing, which model.safetensors.index.json names | "
        "model.path=index/values-1.safetensors"
    )
    assert message("emb/part-{00..03}.npz") == (
        "no file 'emb/part-03.npz', which model.path=emb/part-{00..03}.npz names"
    )


def test_parts_that_disagree():
    one_part("emb/0.npz", 0)
    one_part("emb/1.npz", 1, VALUES[:, :2])
    assert message("emb") == "emb/1.npz has rows of shape [2], emb/0.npz of [3]: wanted the same in every part"
    one_part("emb/1.npz", 1, VALUES.astype(np.float32))
    assert message("emb") == "emb/1.npz holds float32, emb/0.npz float16: save all parts in one dtype"
    one_part("emb/1.npz", 0)
    assert message("emb") == "the id 'i0' is in both emb/0.npz and emb/1.npz"
    one_part("emb/1.npz", 1, labels=["x", "y"])
    assert message("emb") == "emb/0.npz has no labels, which emb/1.npz has: wanted them in every part or in none"
    clip_retrieval("run", range(2))
    pq.write_table(pa.table({"image_path": ["p"]}), "run/metadata/metadata_1.parquet")
    assert message("run", values="img_emb") == (
        "run/metadata/metadata_1.parquet has 1 rows and run/img_emb/img_emb_1.npy has 2: wanted one for each, in its "
        "order"
    )


def test_folders_without_parts_and_with_too_many_kinds():
    wanted = "wanted parts in .npz, .npy, .safetensors or .parquet"
    Path("empty").mkdir()
    assert message("empty") == f"the folder empty is empty; {wanted}"
    Path("other").mkdir()
    Path("other/a.index").write_text("")
    assert message("other") == f"the folder other holds .index; {wanted}"
    one_part("deep/data/part-0.parquet", 0)
    assert message("deep") == "deep has its files in subfolders. Add \"model.path='deep/data/*.parquet'\""
    assert open_latent_file("deep/data/*.parquet").table.ids == IDS[:2]
    one_part("mix/a.npz", 0)
    one_part("mix/b.parquet", 1)
    assert message("mix", at="data") == (
        "mix is a mix of 1 .npz and 1 .parquet: say which. Add \"data.path='mix/*.npz'\" or "
        "\"data.path='mix/*.parquet'\""
    )
    assert message("mix/*") == "model.path=mix/* matches a mix of .npz, .parquet: wanted files of one kind"
    assert message("mix/*.npy") == "no file matches model.path=mix/*.npy; wanted .npz, .npy, .safetensors or .parquet"
