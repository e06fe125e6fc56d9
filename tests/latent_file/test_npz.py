"""``.npz`` files that cannot be used: each in one whole line."""

from __future__ import annotations

import numpy as np
import pytest

from tests.latent_file.refusal import FLOATS, SHAPES, first_sentence

IDS = ["a", "b", "c"]
VALUES = np.arange(6, dtype=np.float32).reshape(3, 2)
TEXT = "wanted text or whole numbers"
OBJECTS = np.array(["a", "b", None], dtype=object)
NPZ = [
    ({"x": VALUES[:, 0]}, "no column of vectors among ['x']. Name it with model.values="),
    ({"ids": IDS, "score": VALUES[:, 0]}, "no column of vectors among ['ids', 'score']. Name it with model.values="),
    (
        {"values": VALUES, "x": np.array([1.0, 2.0, 3.0])},
        "no ids among ['values', 'x']: latents are matched by id, never by position",
    ),
    (
        {"values": VALUES, "x": [1, 2, 3]},
        "no ids among ['values', 'x']: latents are matched by id, never by position. Name their column: model.id=x",
    ),
    ({"ids": IDS, "id": IDS, "values": VALUES}, "it has both 'id' and 'ids': keep one of them"),
    ({"ids": IDS, "group": IDS, "groups": IDS, "values": VALUES}, "it has both 'group' and 'groups': keep one of them"),
    ({"ids": IDS, "values": VALUES.astype(int)}, f"values are int64: {FLOATS}"),
    ({"ids": IDS, "values": VALUES > 1}, f"values are bool: {FLOATS}"),
    ({"ids": IDS, "values": VALUES.astype(complex)}, f"values are complex128: {FLOATS}"),
    ({"ids": IDS, "values": VALUES.astype(np.longdouble)}, f"values are {np.dtype(np.longdouble).name}: {FLOATS}"),
    ({"ids": IDS, "values": VALUES.astype(object)}, f"values are Python objects: {FLOATS}"),
    ({"ids": IDS, "values": VALUES[:, 0]}, f"values has shape [3]: {SHAPES}"),
    ({"ids": IDS, "values": VALUES.reshape(3, 2, 1, 1, 1, 1)}, f"values has shape [3, 2, 1, 1, 1, 1]: {SHAPES}"),
    ({"ids": [], "values": VALUES[:0]}, "values has shape [0, 2]: it is empty"),
    ({"ids": IDS, "values": VALUES[:, :0]}, "values has shape [3, 0]: it is empty"),
    ({"ids": OBJECTS, "values": VALUES}, f"ids are Python objects: {TEXT}"),
    ({"ids": np.array([0.5, 1, 2]), "values": VALUES}, f"ids are float64: {TEXT}"),
    ({"ids": np.array([b"a", b"\xff", b"c"]), "values": VALUES}, r"ids holds b'\xff', which is not UTF-8 text"),
    ({"ids": [True, False, True], "values": VALUES}, f"ids are bool: {TEXT}"),
    (
        {"ids": IDS, "labels": OBJECTS, "values": VALUES},
        f"labels are Python objects: {TEXT}",
    ),
    (
        {"ids": IDS, "group": np.array([1.0, 1, 2]), "values": VALUES},
        f"groups are float64: {TEXT}",
    ),
    ({"ids": [*IDS, "d"], "values": VALUES}, "ids has shape [4]: wanted [3], one for each row of values"),
    ({"ids": [IDS] * 3, "values": VALUES}, "ids has shape [3, 3]: wanted [3], one for each row of values"),
    (
        {"ids": IDS, "labels": ["cat"], "values": VALUES},
        "labels has shape [1]: wanted [3], one for each row of values",
    ),
    ({"ids": ["a", "b", "a"], "values": VALUES}, "duplicate id 'a', in rows 0 and 2 (counted from 0)"),
    (
        {"ids": ["x", "e\u0301", "\u00e9"], "values": VALUES},
        "duplicate id '\u00e9', in rows 1 and 2 (counted from 0)",
    ),
    ({"ids": ["a", "", "c"], "values": VALUES}, "row 1 (counted from 0) has no id"),
    ({"ids": ["a", "b\udce9", "c"], "values": VALUES}, r"ids holds 'b\udce9', which is not valid Unicode"),
    (
        {"ids": IDS, "values": VALUES, "x": [1, -np.inf, 2]},
        "the attribute 'x' of 'b' is -inf: wanted a finite number, or NaN if it is missing",
    ),
]


@pytest.mark.parametrize(("arrays", "message"), NPZ, ids=[message[:40] for _, message in NPZ])
def test_npz(tmp_path, arrays, message):
    np.savez(tmp_path / "x.npz", **arrays)
    assert first_sentence(tmp_path / "x.npz") == f"{tmp_path}/x.npz: {message}"
