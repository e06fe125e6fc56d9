"""Files of latents that are missing, cut short, damaged or of another kind: each in one whole line."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy

from foresight_cli.errors import ForesightError
from foresight_cli.latent_file import open_latent_file
from tests.latent_file.refusal import refusal

WANTED = "model.path= takes .npz, .npy, .safetensors or .parquet, a folder of them, or a pattern"


def not_whole(path: Path) -> str:
    return f"{path} is not a whole {path.suffix} file: it was cut short, damaged, or is of another kind. Save it again"


def whole(path: Path) -> Path:
    """Write a file of latents of the format of ``path``, some kilobytes long."""
    ids, values = [f"s{i}" for i in range(64)], np.random.default_rng(0).normal(size=(64, 32))
    if path.suffix == ".npz":
        np.savez_compressed(path, ids=ids, values=values)
    elif path.suffix == ".npy":
        np.save(path, values)
        path.with_suffix(".csv").write_text("\n".join(["id", *ids]))
    elif path.suffix == ".safetensors":
        safetensors.numpy.save_file({"values": values}, path, metadata={"ids": json.dumps(ids)})
    else:
        pq.write_table(pa.table({"id": ids, "values": list(values)}), path)
    assert open_latent_file(path).sha256
    return path


def test_paths_that_are_not_files_of_latents(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    Path("a.index").write_bytes(b"faiss")
    Path("values").write_bytes(b"")
    assert refusal("a.npz") == f"no file 'a.npz'; {WANTED}"
    assert refusal("~/a.npz") == f"no file '{tmp_path}/a.npz'; {WANTED}"
    assert refusal("a.index") == f"'a.index' is of another kind; {WANTED}"
    assert refusal("values") == f"'values' is of another kind; {WANTED}"


@pytest.mark.parametrize("kind", ["npz", "safetensors", "parquet"])
def test_a_file_deleted_before_its_values_are_read(tmp_path, kind):
    path = whole(tmp_path / f"x.{kind}")
    file = open_latent_file(path)
    path.unlink()
    with pytest.raises(ForesightError) as caught:
        file.values  # noqa: B018
    assert str(caught.value) == f"cannot read {path}: No such file or directory"


KINDS = ["npz", "npy", "safetensors", "parquet"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.99])
def test_a_file_that_was_cut_short(tmp_path, kind, share):
    path = whole(tmp_path / f"x.{kind}")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert refusal(path) == not_whole(path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_a_file_of_another_kind(tmp_path, kind, other):
    if kind != other:
        path = tmp_path / f"x.{kind}"
        path.write_bytes(whole(tmp_path / f"y.{other}").read_bytes())
        assert refusal(path) == not_whole(path)


@pytest.mark.parametrize("compressed", [False, True])
def test_bytes_that_changed_in_an_archive(tmp_path, compressed):
    """An archive has a checksum; in a format without one, a changed byte is just another number."""
    path = whole(tmp_path / "x.npz")
    if not compressed:
        np.savez(path, **np.load(path))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert refusal(path) == not_whole(path)


def test_pages_that_changed_in_a_parquet_file(tmp_path):
    path = whole(tmp_path / "x.parquet")
    data = bytearray(path.read_bytes())
    start = pq.ParquetFile(path).metadata.row_group(0).column(1).data_page_offset
    data[start : start + 64] = bytes([255]) * 64
    path.write_bytes(data)
    assert refusal(path) == not_whole(path)


def test_an_archive_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("values.txt", "1 2 3")
    assert refusal(tmp_path / "x.npz") == not_whole(tmp_path / "x.npz")
    with (tmp_path / "y.npy").open("wb") as file:
        np.lib.format.write_array(file, np.ones(3), version=(3, 0))
    assert refusal(tmp_path / "y.npy") == not_whole(tmp_path / "y.npy")


def test_a_header_that_makes_no_sense(tmp_path):
    path = whole(tmp_path / "x.npy")
    path.write_bytes(path.read_bytes().replace(b"{'descr'", b"{]descr'"))
    assert refusal(path) == not_whole(path)


def test_ids_that_are_no_text(tmp_path):
    path = tmp_path / "x.parquet"
    table = pa.table({"id": ["abcd", "efgh"], "values": [[1.0], [2.0]]})
    pq.write_table(table, path, compression="none", use_dictionary=False, write_statistics=False)
    path.write_bytes(path.read_bytes().replace(b"efgh", b"\xff\xfe\xfd\xfc"))
    assert refusal(path) == not_whole(path)
