"""``.npy`` files, and the CSV beside them, that cannot be used: each in one whole line."""

from __future__ import annotations

import numpy as np
import pytest

from tests.latent_file.refusal import FLOATS, SHAPES, first_sentence, refusal

VALUES = np.arange(6, dtype=np.float32).reshape(3, 2)
NPY = [
    (None, "{x}.npy holds only values: put a column id, and label, group and attributes if there are any, in "
     "{x}.csv, one row for each row of values"),
    ("name\na\nb\nc\n", "{x}.csv: no ids among ['name']: latents are matched by id, never by position. Name their "
     "column: model.id=name"),
    ("id\na\nb\n", "{x}.csv has 2 rows and {x}.npy has 3: wanted one for each, in its order"),
    ("id,x\na,1\n,2\nc,3\n", "{x}.csv, line 3: no id"),
    ("id,x\na,1\nb,two\nc,3\n", "{x}.csv, line 3: column 'x' must be a finite number, got 'two'"),
    ("id\na\nb\na\n", "{x}.npy: duplicate id 'a', in rows 0 and 2 (counted from 0)"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), NPY)
def test_npy_and_its_csv(tmp_path, text, message):
    np.save(tmp_path / "x.npy", VALUES)
    if text is not None:
        (tmp_path / "x.csv").write_text(text)
    assert refusal(tmp_path / "x.npy") == message.replace("{x}", f"{tmp_path}/x")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (VALUES.astype(np.int8), f"values are int8: {FLOATS}"),
        (VALUES.astype(object), f"values are Python objects: {FLOATS}"),
        (VALUES[0], f"values has shape [2]: {SHAPES}"),
    ],
)
def test_npy_values(tmp_path, values, message):
    np.save(tmp_path / "x.npy", values)
    assert first_sentence(tmp_path / "x.npy") == f"{tmp_path}/x.npy: {message}"
