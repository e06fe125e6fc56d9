"""``data=precomputed``: the samples of a file of latents."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest

from foresight_cli.config import PrecomputedDataConfig
from foresight_cli.data import Sample, open_dataset
from foresight_cli.data.clip import Clip
from foresight_cli.data.precomputed import Precomputed
from foresight_cli.errors import ForesightError, UsageError

IDS = ["a", "b\n", "ç"]
VALUES = np.ones((3, 2))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(
        path, ids=IDS, values=VALUES, labels=["cat", "", "dog"], groups=[7, 7, 8], x=[1.5, np.nan, -2], y=[0, 1, 2]
    )
    return path


def test_samples_say_what_the_file_says(file):
    dataset = open_dataset(PrecomputedDataConfig(name="precomputed", path=str(file)))
    assert dataset.samples == [
        Sample("a", "cat", "7", {"x": 1.5, "y": 0.0}),
        Sample("b\n", None, "7", {"y": 1.0}),
        Sample("ç", "dog", "8", {"x": -2.0, "y": 2.0}),
    ]


def test_a_file_of_ids_and_values_alone(tmp_path):
    np.savez(tmp_path / "a.npz", ids=IDS, values=VALUES)
    assert Precomputed(tmp_path / "a.npz").samples == [Sample(i, None, i, {}) for i in IDS]


def test_there_are_no_pictures_and_each_sample_has_its_own_digest(file):
    dataset = Precomputed(file)
    assert dataset.clip(1) == Clip(frames=(), fps=None, name="b\n")
    assert len({dataset.clip(i).digest() for i in range(3)}) == 3


def test_identity_is_of_the_ids_in_order(file, tmp_path):
    identity = Precomputed(file).identity()
    assert identity == {
        "name": "precomputed",
        "count": 3,
        "sha256": hashlib.sha256(rb'["a","b\n","\u00e7"]').hexdigest(),
    }
    np.savez(tmp_path / "b.npz", ids=IDS, values=np.zeros((3, 1, 4, 4)))
    assert Precomputed(tmp_path / "b.npz").identity() == identity
    np.savez(tmp_path / "c.npz", ids=IDS[::-1], values=VALUES)
    assert Precomputed(tmp_path / "c.npz").identity() != identity


def test_it_can_be_sent_to_another_process(file):
    dataset = Precomputed(file)
    sent = pickle.loads(pickle.dumps(dataset))
    assert (sent.samples, sent.identity()) == (dataset.samples, dataset.identity())


def test_refusals(tmp_path):
    with pytest.raises(UsageError) as unnamed:
        Precomputed("")
    assert str(unnamed.value) == "data.path is needed: add data.path=X.npz, a file of latents"
    with pytest.raises(ForesightError) as missing:
        Precomputed(tmp_path / "a.npz")
    assert str(missing.value) == (
        f"no file '{tmp_path}/a.npz'; data.path= takes .npz, .npy, .safetensors or .parquet, a folder of them, or a "
        "pattern"
    )
