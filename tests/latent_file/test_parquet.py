"""``.parquet`` files that cannot be used: each in one whole line."""

from __future__ import annotations

import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from foresight_cli.latent_file import open_latent_file
from tests.latent_file.refusal import FLOATS, first_sentence, refusal

IDS = ["a", "b", "c"]
VALUES = np.arange(6, dtype=np.float32).reshape(3, 2)
LISTS = pa.array(VALUES.tolist())
NESTED = pa.array([[[1.0]], [[2.0]], [[3.0, 4.0]]])
PARQUET = [
    ({"id": IDS}, "no column of vectors among ['id']. Name it with model.values="),
    ({"values": LISTS}, "no ids among ['values']: latents are matched by id, never by position"),
    ({"id": IDS, "values": [1.0, 2.0, 3.0]}, "the column 'values' is double: wanted a list of floats in each row"),
    (
        {"id": IDS, "values": NESTED},
        "the values of 'c' have 2 numbers: wanted 1, as in the other rows",
    ),
    ({"id": IDS, "values": [[1, 2]] * 3}, f"values are int64: {FLOATS}"),
    ({"id": IDS, "values": [["1", "2"]] * 3}, f"values are string: {FLOATS}"),
    ({"id": IDS, "values": pa.array([[], [], []], pa.list_(pa.float32()))},
     "values has shape [3, 0]: it is empty"),
    (
        {"id": IDS, "values": [None, [1.0, 2.0], [1.0]]},
        "the values of 'c' have 1 numbers: wanted 2, as in the other rows",
    ),
    ({"id": IDS, "values": [[1.0, 2.0], [1.0], [1.0, 2.0, 3.0]]},
     "the values of 'b' have 1 numbers: wanted 2, as in the other rows"),
    ({"id": ["a", None, "c"], "values": LISTS}, "row 1 (counted from 0) has no id"),
    ({"id": [0.5, 1.0, 2.0], "values": LISTS}, "ids holds 0.5: wanted text or whole numbers"),
    (
        {"id": IDS, "values": LISTS, "x": [1.0, np.inf, 2.0]},
        "the attribute 'x' of 'b' is inf: wanted a finite number, or NaN if it is missing",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("columns", "message"), PARQUET, ids=[message[:40] for _, message in PARQUET])
def test_parquet(tmp_path, columns, message):
    pq.write_table(pa.table(columns), tmp_path / "x.parquet", row_group_size=2)
    assert first_sentence(tmp_path / "x.parquet") == f"{tmp_path}/x.parquet: {message}"


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()], ids=str)
@pytest.mark.parametrize("size", [2, -1])
def test_a_vector_or_a_number_that_is_missing_is_nan(tmp_path, kind, size):
    values = pa.array([[1.0, 2.0], None, [3.0, None]], pa.list_(kind, size))
    pq.write_table(pa.table({"id": IDS, "values": values}), tmp_path / "x.parquet")
    read = open_latent_file(tmp_path / "x.parquet").values
    assert np.array_equal(read, [[1, 2], [np.nan, np.nan], [3, np.nan]], equal_nan=True)


def test_an_embedding_that_failed_is_left_out_by_skip(run, tmp_path):
    vectors = [[float(i), 1.0] for i in range(28)]
    values = pa.array([*vectors, None, []], pa.list_(pa.float32()))
    pq.write_table(pa.table({"id": [f"s{i}" for i in range(30)], "values": values}), tmp_path / "x.parquet")
    words = ("extract", "model=precomputed", "model.path=x.parquet")
    stopped, skipped = run(*words), run(*words, "data.on_error=skip")
    assert stopped.exit_code == 1
    assert "the values of 's28' are not all finite" in stopped.output
    assert "add data.on_error=skip" in stopped.output
    assert skipped.exit_code == 0
    assert "28 rows (2 left out)" in skipped.output


def test_two_columns_of_one_name(tmp_path):
    table = pa.Table.from_arrays([pa.array(IDS), LISTS, LISTS], names=["id", "values", "values"])
    pq.write_table(table, tmp_path / "x.parquet")
    assert refusal(tmp_path / "x.parquet") == f"{tmp_path}/x.parquet: duplicate column 'values'"


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    pq.write_table(pa.table({"id": IDS, "values": LISTS}), tmp_path / "x.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert refusal(tmp_path / "x.parquet") == (
        f"{tmp_path}/x.parquet: reading .parquet needs pyarrow. Type: pip install 'foresight-latents[parquet]'"
    )
