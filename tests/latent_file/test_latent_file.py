"""Files of latents in every format, against the arrays that were saved."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from foresight_cli.latent_file import file as file_module
from foresight_cli.latent_file import open_latent_file

IDS = ["a/1.png", "b", "ç", "日本", "7"]
LABELS = ["cat", "dog", "", "cat", "dog"]
GROUPS = ["g", "g", "h", "", "h"]
SIZE = np.array([1.5, -2.0, np.nan, 0.0, 1e300])
FLAG = np.array([True, False, True, True, False])
VALUES = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
CSV = "id,label,group,size,flag\n" + "".join(
    f"{i},{label},{group},{'' if np.isnan(size) else size},{int(flag)}\n"
    for i, label, group, size, flag in zip(IDS, LABELS, GROUPS, SIZE, FLAG, strict=True)
)


def npz(path: Path, values: np.ndarray) -> Path:
    np.savez(path / "x.npz", ids=IDS, labels=LABELS, groups=GROUPS, values=values, size=SIZE, flag=FLAG)
    return path / "x.npz"


def small_npz(path: Path, values: np.ndarray) -> Path:
    """Write a compressed file with singular names and a suffix in capitals."""
    with (path / "x.NPZ").open("wb") as file:
        np.savez_compressed(file, id=IDS, label=LABELS, group=GROUPS, values=values, size=SIZE, flag=FLAG)
    return path / "x.NPZ"


def npy(path: Path, values: np.ndarray) -> Path:
    np.save(path / "x.npy", values)
    (path / "x.csv").write_text(CSV, encoding="utf-8")
    return path / "x.npy"


def st(path: Path, values: np.ndarray) -> Path:
    header = {"ids": json.dumps(IDS), "labels": json.dumps(LABELS), "groups": json.dumps(GROUPS), "format": "pt"}
    tensors = {"size": SIZE, "values": np.ascontiguousarray(values), "flag": FLAG}
    safetensors.numpy.save_file(tensors, path / "x.safetensors", metadata=header)
    return path / "x.safetensors"


def st_with_csv(path: Path, values: np.ndarray) -> Path:
    safetensors.numpy.save_file({"values": np.ascontiguousarray(values)}, path / "x.safetensors")
    (path / "x.csv").write_text(CSV, encoding="utf-8")
    return path / "x.safetensors"


def columns() -> dict[str, pa.Array]:
    size = pa.array([None if np.isnan(s) else s for s in SIZE])
    return {"id": IDS, "label": pa.array(LABELS).dictionary_encode(), "group": GROUPS, "size": size, "flag": FLAG}


def parquet(path: Path, values: np.ndarray) -> Path:
    pq.write_table(pa.table({"values": list(values), **columns()}), path / "x.parquet", row_group_size=2)
    return path / "x.parquet"


def parquet_fixed(path: Path, values: np.ndarray) -> Path:
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
    pq.write_table(pa.table({"values": fixed, **columns(), "__index_level_0__": range(5)}), path / "x.parquet")
    return path / "x.parquet"


def parquet_large(path: Path, values: np.ndarray) -> Path:
    held = pa.array(list(values), pa.large_list(pa.from_numpy_dtype(values.dtype)))
    pq.write_table(pa.table({"values": held, **columns()}), path / "x.parquet")
    return path / "x.parquet"


GRIDS = [npz, small_npz, npy, st, st_with_csv]
FORMATS = [*GRIDS, parquet, parquet_fixed, parquet_large]


def reference(values: np.ndarray, ids=IDS) -> str:
    header = {"dtype": values.dtype.name, "ids": ids, "shape": list(values.shape)}
    head = json.dumps(header, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(head.encode() + values.astype(values.dtype.newbyteorder("<")).tobytes("C")).hexdigest()


# --- contents


@pytest.mark.parametrize("write", FORMATS)
def test_every_format_says_the_same(tmp_path, write):
    file = open_latent_file(write(tmp_path, VALUES))
    assert (file.shape, file.dtype) == ((5, 4), "float32")
    assert file.values.tobytes() == VALUES.tobytes()
    assert file.table.ids == IDS
    assert file.table.labels == ["cat", "dog", None, "cat", "dog"]
    assert file.table.groups == ["g", "g", "h", "日本", "h"]
    assert sorted(file.table.attributes) == ["flag", "size"]
    np.testing.assert_array_equal(file.table.attributes["size"], SIZE)
    np.testing.assert_array_equal(file.table.attributes["flag"], [1, 0, 1, 1, 0])
    assert file.sha256 == reference(VALUES)
    assert file.ids_sha256 == hashlib.sha256(json.dumps(IDS, separators=(",", ":")).encode()).hexdigest()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("write", FORMATS)
def test_each_dtype_is_kept_to_the_bit(tmp_path, write, dtype):
    values = VALUES.astype(dtype)
    file = open_latent_file(write(tmp_path, values))
    assert file.dtype == dtype
    assert np.array(file.values).tobytes() == values.tobytes()
    assert file.sha256 == reference(values)


def test_bfloat16_is_kept_to_the_bit(tmp_path):
    values = torch.from_numpy(VALUES).bfloat16()
    shade = torch.tensor([1.0, 0.5, -3.0, 0.0, 256.0]).bfloat16()
    tensors = {"values": values, "shade": shade}
    safetensors.torch.save_file(tensors, tmp_path / "x.safetensors", metadata={"ids": json.dumps(IDS)})
    file = open_latent_file(tmp_path / "x.safetensors")
    assert (file.shape, file.dtype) == ((5, 4), "bfloat16")
    assert np.array(file.values).tobytes() == values.view(torch.int16).numpy().tobytes()
    assert file.table.attributes["shade"].tolist() == shade.tolist()
    half = open_latent_file(npz(tmp_path, values.view(torch.float16).numpy()))
    assert file.sha256 != half.sha256  # the same bytes, but other numbers


@pytest.mark.parametrize("shape", [(5, 3, 4), (5, 2, 3, 4), (5, 2, 1, 3, 4)])
@pytest.mark.parametrize("write", GRIDS)
def test_tokens_and_grids(tmp_path, write, shape):
    values = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    file = open_latent_file(write(tmp_path, values))
    assert file.shape == shape
    np.testing.assert_array_equal(file.values, values)
    assert file.sha256 == reference(values)


@pytest.mark.parametrize("write", [npz, npy])
def test_byte_order_and_memory_order_change_nothing(tmp_path, write):
    values = np.random.default_rng(1).normal(size=(5, 3, 4))
    file = open_latent_file(write(tmp_path, np.asfortranarray(values).astype(">f8")))
    assert file.dtype == "float64"
    np.testing.assert_array_equal(file.values, values)
    assert file.sha256 == reference(values)


@pytest.mark.parametrize("ids", [np.array([30, -4, 7]), np.array([1, 2, 2**64 - 1], dtype=np.uint64)])
def test_whole_numbers_as_ids_become_text(tmp_path, ids):
    np.savez(tmp_path / "x.npz", ids=ids, values=VALUES[:3], labels=np.array([0, 1, 0]), groups=ids)
    table = open_latent_file(tmp_path / "x.npz").table
    assert table.ids == table.groups == [str(i) for i in ids.tolist()]
    assert table.labels == ["0", "1", "0"]
    tensors = {"ids": ids, "values": VALUES[:3], "labels": np.array([0, 1, 0], dtype=np.uint8)}
    safetensors.numpy.save_file(tensors, tmp_path / "x.safetensors", metadata={"groups": json.dumps(ids.tolist())})
    assert open_latent_file(tmp_path / "x.safetensors").table == table
    pq.write_table(
        pa.table({"id": ids, "values": list(VALUES[:3]), "label": [0, 1, 0], "group": ids}), tmp_path / "x.parquet"
    )
    assert open_latent_file(tmp_path / "x.parquet").table == table


def test_ids_are_in_the_form_of_every_dataset(tmp_path):
    spelled = unicodedata.normalize("NFD", "é.png")
    np.savez(tmp_path / "x.npz", ids=[spelled, "b"], values=VALUES[:2])
    assert open_latent_file(tmp_path / "x.npz").table.ids == ["\u00e9.png", "b"]


def test_a_csv_adds_columns_to_a_safetensors_file(tmp_path):
    tensors = {"values": VALUES[:2], "size": np.array([1, 2])}
    safetensors.numpy.save_file(tensors, tmp_path / "x.safetensors", metadata={"labels": json.dumps(["cat", None])})
    (tmp_path / "x.csv").write_text("id,hue\nb,0.25\na,\n")
    table = open_latent_file(tmp_path / "x.safetensors").table
    assert (table.ids, table.labels, table.groups) == (["b", "a"], ["cat", None], ["b", "a"])
    assert table.attributes["size"].tolist() == [1, 2]
    np.testing.assert_array_equal(table.attributes["hue"], [0.25, np.nan])


# --- the hash


def test_the_hash_is_of_ids_and_values_alone(tmp_path):
    np.savez(tmp_path / "x.npz", ids=IDS, values=VALUES, labels=LABELS, size=SIZE)
    whole = open_latent_file(tmp_path / "x.npz").sha256
    np.savez(tmp_path / "x.npz", ids=IDS, values=VALUES, labels=LABELS[::-1])
    assert open_latent_file(tmp_path / "x.npz").sha256 == whole
    for ids, values in ((IDS[::-1], VALUES), (IDS, VALUES[::-1]), (IDS, np.nextafter(VALUES, np.float32(9)))):
        np.savez(tmp_path / "x.npz", ids=ids, values=values)
        assert open_latent_file(tmp_path / "x.npz").sha256 == reference(values, ids) != whole


@pytest.mark.parametrize("write", FORMATS)
def test_values_are_hashed_and_read_in_parts(tmp_path, monkeypatch, write):
    monkeypatch.setattr(file_module, "CHUNK", 33)  # two rows
    monkeypatch.setattr("foresight_cli.latent_file.parquet.CHUNK", 33)
    file = open_latent_file(write(tmp_path, VALUES))
    assert file.sha256 == reference(VALUES)
    np.testing.assert_array_equal(file.values, VALUES)


@pytest.mark.parametrize("write", [npy, st])
def test_values_stay_in_the_file_until_they_are_asked_for(tmp_path, write):
    file = open_latent_file(write(tmp_path, VALUES))
    assert isinstance(file.values, np.memmap)
    assert not file.values.flags.writeable


def test_no_torch_is_imported_and_pyarrow_for_parquet_alone(tmp_path):
    paths = [write(tmp_path, VALUES) for write in (npz, npy, st, parquet)]
    code = (
        "import sys\n"
        "from foresight_cli.latent_file import open_latent_file\n"
        "for path in sys.argv[1:]:\n"
        "    open_latent_file(path).sha256\n"
        "    print(sorted({'torch', 'pyarrow'} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == ["[]", "[]", "[]", "['pyarrow']"]
