"""The commands that messages advise for unusable files: each is run here, and the file that it writes is read."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import shlex
from decimal import Decimal
from pathlib import Path

import datasets
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import scipy.io
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.latent_file import LatentFile, open_latent_file
from tests.latent_file.refusal import refusal

IDS = ["a", "b", "c"]
FLOATS = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
WHOLE = np.arange(-6, 6, dtype=np.int8).reshape(3, 4)
BITS = torch.from_numpy(FLOATS).bfloat16()
FP8 = torch.from_numpy(FLOATS).to(torch.float8_e4m3fn)
RECORDS = np.array([(*row,) for row in FLOATS], dtype=[(f"f{i}", "f4") for i in range(4)])
MIXED = np.array(list(zip(IDS, FLOATS[:, 0], FLOATS[:, 1], strict=True)), dtype=[("n", "U8"), ("x", "f4"), ("y", "f8")])
VECTORS = np.array(list(zip(IDS, FLOATS, strict=True)), dtype=[("n", "U8"), ("emb", "f4", (4,))])
RAGGED_SAFE = np.empty(3, dtype=object)
RAGGED_SAFE[:] = list(FLOATS)
ARRAYS = {
    "records": (RECORDS, FLOATS),
    "records with text": (MIXED, FLOATS[:, :2]),
    "records with a vector": (VECTORS, FLOATS),
    "objects": (FLOATS.astype(object), FLOATS),
    "an array of arrays": (RAGGED_SAFE, FLOATS),
    "complex": ((FLOATS + 2j * FLOATS).astype(np.complex64), np.concatenate([FLOATS, 2 * FLOATS], axis=1)),
    "bool": (FLOATS > 0, FLOATS > 0),
    "text": (WHOLE.astype(str), WHOLE),
    "bytes": (WHOLE.astype("S"), WHOLE),
    "long double": (FLOATS.astype(np.longdouble), FLOATS),
    "int8": (WHOLE, WHOLE),
    "big-endian int": (WHOLE.astype(">i4"), WHOLE),
    "uint64": (WHOLE.astype(np.uint64) % 7, WHOLE.astype(np.uint64) % 7),
    "bfloat16 of JAX": (BITS.view(torch.int16).numpy().view("V2"), BITS.float().numpy()),
    "fp8 of JAX": (FP8.view(torch.uint8).numpy().view("V1"), FP8.float().numpy()),
}


def typed(message: str, folder: Path) -> None:
    """Run the code of the advised ``python -c`` in this process."""
    words = shlex.split(message.partition(". Type: ")[2])
    assert words[:2] == ["python", "-c"]
    assert len(words) == 3
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        exec(compile(words[2], "typed", "exec"), {})


def converted(path: Path, made: str) -> LatentFile:
    """Run the line in the refusal of ``path`` and open the file that it writes."""
    typed(refusal(path), path.parent)
    return open_latent_file(path.with_name(made))


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_in_an_archive(tmp_path, name):
    values, wanted = ARRAYS[name]
    np.savez(tmp_path / "it's.npz", ids=IDS, values=values, labels=["x", "y", "x"])
    file = converted(tmp_path / "it's.npz", "it's-float.npz")
    np.testing.assert_array_equal(file.values, wanted.astype(file.dtype))
    assert (file.table.ids, file.table.labels) == (IDS, ["x", "y", "x"])


def test_ids_and_labels_that_are_objects(tmp_path):
    names = {"ids": np.array(["a", b"b", 7], object), "label": np.array(["x", None, "y"], object)}
    np.savez(tmp_path / "it's.npz", **names, values=FLOATS)
    file = converted(tmp_path / "it's.npz", "it's-text.npz")
    assert (file.table.ids, file.table.labels) == (["a", "b", "7"], ["x", None, "y"])
    np.testing.assert_array_equal(file.values, FLOATS)


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_alone(tmp_path, name):
    values, wanted = ARRAYS[name]
    np.save(tmp_path / "x.npy", values)
    (tmp_path / "x.csv").write_text("id\na\nb\nc\n")
    file = converted(tmp_path / "x.npy", "x.npy")
    np.testing.assert_array_equal(file.values, wanted.astype(file.dtype))


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_vectors_one_by_one_under_their_ids(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    vectors = {f"cats/{i}.png": row for i, row in zip(IDS, FLOATS, strict=True)}
    if suffix == "npz":
        np.savez(path, **vectors)
    else:
        safetensors.torch.save_file({i: torch.from_numpy(row.copy()) for i, row in vectors.items()}, path)
    assert refusal(path).startswith(f"{path}: each array is one row, named by its id. Type: python -c ")
    file = converted(path, "x-rows.npz")
    assert file.table.ids == list(vectors)
    np.testing.assert_array_equal(file.values, FLOATS)


def test_a_dataset_that_was_saved_to_disk(tmp_path):
    datasets.Dataset.from_dict({"id": IDS, "emb": FLOATS.tolist()}).save_to_disk(tmp_path / "saved")
    assert refusal(tmp_path / "saved").startswith(f"{tmp_path}/saved was saved by the datasets library. Type: python ")
    typed(refusal(tmp_path / "saved"), tmp_path)
    np.testing.assert_allclose(open_latent_file(tmp_path / "saved.parquet").values, FLOATS)


def test_a_dictionary_saved_by_numpy(tmp_path):
    np.save(tmp_path / "x.npy", dict(zip(IDS, FLOATS, strict=True)))
    file = converted(tmp_path / "x.npy", "x.npz")
    assert file.table.ids == IDS
    np.testing.assert_array_equal(file.values, FLOATS)


@pytest.mark.parametrize(
    "values",
    [FP8, torch.from_numpy(FLOATS).to(torch.float8_e5m2), torch.from_numpy(WHOLE), torch.from_numpy(FLOATS) > 0],
    ids=lambda values: str(values.dtype),
)
@pytest.mark.parametrize("beside", [True, False])
def test_tensors(tmp_path, values, beside):
    path = tmp_path / "x.safetensors"
    safetensors.torch.save_file({"values": values}, path, metadata=None if beside else {"ids": json.dumps(IDS)})
    if beside:
        (tmp_path / "x.csv").write_text("id\na\nb\nc\n")
    file = converted(path, "x-float.safetensors")
    assert "t['values'] = t['values'].to(torch.float32)" in refusal(path)
    np.testing.assert_array_equal(file.values, values.float().numpy())
    assert file.table.ids == IDS


def test_complex_tensors(tmp_path):
    values = torch.complex(torch.from_numpy(FLOATS), torch.from_numpy(2 * FLOATS))
    safetensors.torch.save_file({"values": values}, tmp_path / "x.safetensors", metadata={"ids": json.dumps(IDS)})
    file = converted(tmp_path / "x.safetensors", "x-float.safetensors")
    np.testing.assert_array_equal(file.values, np.concatenate([FLOATS, 2 * FLOATS], axis=1))


LISTS = {
    "whole": (pa.array(WHOLE.tolist()), WHOLE),
    "bytes": (pa.array(abs(WHOLE).tolist(), pa.list_(pa.uint8())), abs(WHOLE)),
    "bool": (pa.array((WHOLE > 0).tolist()), WHOLE > 0),
    "decimal": (pa.array([[Decimal(int(n)) for n in row] for row in WHOLE], pa.list_(pa.decimal128(5, 2))), WHOLE),
    "text": (pa.array(WHOLE.astype(str).tolist()), WHOLE),
    "grids": (pa.array(WHOLE.reshape(3, 2, 2).tolist()), WHOLE.reshape(3, 2, 2)),
    "JSON": (pa.array([json.dumps(row) for row in WHOLE.tolist()]), WHOLE),
    "raw": (pa.array([row.tobytes() for row in FLOATS]), FLOATS),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists(tmp_path, name):
    column, wanted = LISTS[name]
    pq.write_table(pa.table({"id": IDS, "embedding": column, "x": [1.0, 2.0, 3.0]}), tmp_path / "x.parquet")
    named = {"values": "embedding"} if name in ("decimal", "text") else {}  # nothing marks it as a vector
    with pytest.raises(ForesightError) as caught:
        open_latent_file(tmp_path / "x.parquet", **named)
    typed(str(caught.value), tmp_path)
    file = open_latent_file(tmp_path / "x-float.parquet")
    np.testing.assert_array_equal(file.values, wanted.astype(file.dtype))
    assert list(file.table.attributes) == ["x"]


def as_frame() -> pd.DataFrame:
    return pd.DataFrame({"id": IDS, "embedding": FLOATS.astype(float).tolist(), "size": [1.0, 2.0, 3.0]})


OTHERS = {
    "x.pt": lambda path: torch.save({"ids": IDS, "values": BITS, "labels": torch.tensor([1, 2, 1])}, path),
    "vectors.pth": lambda path: torch.save(
        {i: torch.from_numpy(v.copy()) for i, v in zip(IDS, FLOATS, strict=True)}, path
    ),
    "tensor.pt": lambda path: torch.save(torch.from_numpy(FLOATS), path),
    "x.pkl": lambda path: path.write_bytes(pickle.dumps({"ids": IDS, "values": list(FLOATS)})),
    "vectors.pickle": lambda path: path.write_bytes(pickle.dumps(dict(zip(IDS, FLOATS, strict=True)))),
    "frame.pkl": lambda path: as_frame().to_pickle(path),
    "x.csv": lambda path: as_frame().to_csv(path, index=False),
    "x.tsv": lambda path: as_frame().to_csv(path, index=False, sep="\t"),
    "x.jsonl": lambda path: as_frame().to_json(path, orient="records", lines=True, double_precision=15),
    "x.json": lambda path: as_frame().to_json(path, orient="records", double_precision=15),
    "x.feather": lambda path: pyarrow.feather.write_feather(pa.Table.from_pandas(as_frame()), path),
    "x.arrow": lambda path: arrow_stream(path),
    "x.h5": lambda path: hdf5(path),
    "x.mat": lambda path: scipy.io.savemat(path, {"ids": np.array(IDS), "values": FLOATS}),
}


def arrow_stream(path: Path) -> None:
    table = pa.Table.from_pandas(as_frame())
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


def hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["ids"], file["values"] = IDS, FLOATS


@pytest.mark.parametrize("name", OTHERS)
def test_files_of_other_kinds(tmp_path, name):
    OTHERS[name](tmp_path / name)
    line = refusal(tmp_path / name)
    assert line.startswith(f"'{tmp_path / name}' is of another kind; model.path= takes .npz, .npy, ")
    typed(line, tmp_path)
    (made,) = {*tmp_path.glob("*.npz"), *tmp_path.glob("*.parquet")}
    file = open_latent_file(made)
    wanted = BITS.float().numpy() if name == "x.pt" else FLOATS
    np.testing.assert_allclose(file.values, wanted, rtol=0 if made.suffix == ".npz" else 1e-12)
    assert file.table.ids == (["0", "1", "2"] if name == "tensor.pt" else IDS)


def test_a_csv_of_one_number_a_column(tmp_path):
    columns = {"id": IDS} | {f"e{i}": FLOATS[:, i].astype(float) for i in range(4)}
    pd.DataFrame(columns).to_csv(tmp_path / "x.csv", index=False)
    typed(refusal(tmp_path / "x.csv"), tmp_path)
    assert refusal(tmp_path / "x.parquet").endswith("Add \"model.values='e*'\", columns of one number each")
    np.testing.assert_allclose(open_latent_file(tmp_path / "x.parquet", values="e*").values, FLOATS, rtol=1e-12)


def test_numbers_that_no_line_unpacks(tmp_path):
    header = json.dumps({"values": {"dtype": "F4", "shape": [3, 4], "data_offsets": [0, 6]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(6))
    assert refusal(tmp_path / "x.safetensors") == (
        f"{tmp_path}/x.safetensors: values are F4: wanted floats of 16, 32 or 64 bits. Unpack them with the program "
        "that wrote them, and save them as float32"
    )
