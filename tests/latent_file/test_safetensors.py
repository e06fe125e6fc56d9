"""``.safetensors`` files that cannot be used: each in one whole line."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from foresight_cli.latent_file import open_latent_file
from tests.latent_file.refusal import FLOATS, first_sentence, refusal

IDS = ["a", "b", "c"]
VALUES = np.arange(6, dtype=np.float32).reshape(3, 2)
SAID = {"ids": json.dumps(IDS)}
SAFETENSORS = [
    ({"x": VALUES[:, 0]}, SAID, "no column of vectors among ['ids', 'x']. Name it with model.values="),
    ({"values": VALUES.astype(np.int32)}, SAID, f"values are int32: {FLOATS}"),
    (
        {"values": VALUES},
        {},
        "no ids. Put them in its metadata, with save_file(..., metadata={'ids': json.dumps(ids)}), or in a column id "
        "of {x}.csv",
    ),
    ({"values": VALUES}, {"ids": "a,b,c"}, "'ids' in its metadata is not a JSON list: write it with json.dumps(list)"),
    ({"values": VALUES}, {"ids": '"abc"'}, "'ids' in its metadata is not a JSON list: write it with json.dumps(list)"),
    ({"values": VALUES}, {"ids": "[1, 2]"}, "ids has shape [2]: wanted [3], one for each row of values"),
    ({"values": VALUES}, {"ids": "[1, 2.5, 3]"}, "ids holds 2.5: wanted text or whole numbers"),
    ({"values": VALUES}, {"ids": "[1, true, 3]"}, "ids holds True: wanted text or whole numbers"),
    ({"values": VALUES}, {"ids": '["a", null, "c"]'}, "row 1 (counted from 0) has no id"),
    (
        {"values": VALUES},
        {"ids": r'["a", "\udce9", "c"]'},
        r"ids holds '\udce9', which is not valid Unicode",
    ),
    (
        {"values": VALUES, "ids": np.arange(3)},
        SAID,
        "'ids' is in the metadata and among the tensors: keep one of them",
    ),
]


@pytest.mark.parametrize(("tensors", "metadata", "message"), SAFETENSORS, ids=[m[:40] for *_, m in SAFETENSORS])
def test_safetensors(tmp_path, tensors, metadata, message):
    safetensors.numpy.save_file(tensors, tmp_path / "x.safetensors", metadata=metadata)
    assert first_sentence(tmp_path / "x.safetensors") == f"{tmp_path}/x.safetensors: " + message.replace(
        "{x}", f"{tmp_path}/x"
    )


def test_safetensors_of_eight_bits(tmp_path):
    path, small = tmp_path / "x.safetensors", torch.zeros(3, 2).to(torch.float8_e4m3fn)
    safetensors.torch.save_file({"values": small}, path, metadata=SAID)
    assert first_sentence(path) == f"{path}: values are F8_E4M3: {FLOATS}"
    safetensors.torch.save_file({"values": torch.zeros(3, 2), "x": small[:, 0].clone()}, path, metadata=SAID)
    assert open_latent_file(path).notes == (f"{path}: left alone: x",)


@pytest.mark.parametrize("text", ["id,x\na,1\nb,2\nc,3\n", "id,label\na,cat\nb,cat\nc,dog\n"])
def test_a_csv_that_repeats_a_column_of_the_tensors(tmp_path, text):
    tensors = {"values": VALUES, "x": np.ones(3), "labels": np.arange(3)}
    safetensors.numpy.save_file(tensors, tmp_path / "x.safetensors")
    (tmp_path / "x.csv").write_text(text)
    name = text.splitlines()[0].removeprefix("id,")
    x = f"{tmp_path}/x"
    assert refusal(tmp_path / "x.safetensors") == (
        f"{x}.csv: the column {name!r} is in {x}.safetensors too: keep one of them"
    )
