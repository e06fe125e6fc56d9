"""``model=precomputed``: rows are found by id, pooled like a network's, and stored bit for bit."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import safetensors.torch
import torch

from foresight_cli.config import PrecomputedConfig
from foresight_cli.data.clip import Clip
from foresight_cli.errors import ForesightError
from foresight_cli.models import LatentModel, Tap, open_model
from foresight_cli.models.precomputed import UnusableRow

MEAN, FLAT = Tap("final", "channel_mean"), Tap("final", "flat")
IDS = ["a", "b", "c", "d"]
NO_PICTURE = Clip(frames=())
SHAPES = [(4, 6), (4, 3, 5), (4, 5, 2, 3), (4, 5, 2, 2, 3)]


def opened(path) -> LatentModel:
    model = open_model(PrecomputedConfig(name="precomputed", path=str(path)))
    model.load("cpu")
    return model


def saved(tmp_path, values, ids=IDS, **columns):
    np.savez(tmp_path / "x.npz", ids=ids, values=values, **columns)
    return tmp_path / "x.npz"


def features(model: LatentModel, ids=IDS) -> dict[Tap, torch.Tensor]:
    return model.features([model.prepare(NO_PICTURE, i) for i in ids], [MEAN, FLAT])


def drawn(shape, dtype) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


# --- the latents


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_pooling_is_that_of_a_network(tmp_path, shape, dtype):
    """``[n, d]`` is one token; ``[n, tokens, d]`` is averaged over tokens; grids over all but their channels."""
    values = drawn(shape, dtype)
    got = features(opened(saved(tmp_path, values)))
    assert got[FLAT].numpy().tobytes() == values.tobytes()
    assert got[FLAT].numpy().dtype == values.dtype
    axes = {2: (), 3: 1, 4: (2, 3), 5: (2, 3, 4)}[len(shape)]
    want = values.mean(axis=axes, dtype=float)
    assert got[MEAN].dtype == torch.float32
    assert got[MEAN].shape == want.shape
    assert got[MEAN].double().numpy() == pytest.approx(want, rel=1e-6, abs=1e-6)


def test_bfloat16(tmp_path):
    values = torch.from_numpy(drawn((4, 3, 5), "float32")).bfloat16()
    safetensors.torch.save_file({"values": values}, tmp_path / "x.safetensors", metadata={"ids": json.dumps(IDS)})
    got = features(opened(tmp_path / "x.safetensors"))
    assert torch.equal(got[FLAT], values.flatten(1))
    assert got[FLAT].dtype == torch.bfloat16
    torch.testing.assert_close(got[MEAN], values.float().mean(dim=1))


def test_byte_order_and_memory_order(tmp_path):
    values = drawn((4, 3, 5), "float32")
    np.save(tmp_path / "x.npy", np.asfortranarray(values).astype(">f4"))
    (tmp_path / "x.csv").write_text("\n".join(["id", *IDS]))
    assert features(opened(tmp_path / "x.npy"))[FLAT].numpy().tobytes() == values.tobytes()


def test_rows_are_found_by_id_and_never_by_position(tmp_path):
    values = drawn((4, 6), "float32")
    model = opened(saved(tmp_path, values))
    assert torch.equal(features(model, ["d", "b"])[FLAT], torch.from_numpy(values[[3, 1]]))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bytes_of_a_row_without_reading_it(tmp_path, shape):
    path = saved(tmp_path, drawn(shape, "float16"))
    model = open_model(PrecomputedConfig(name="precomputed", path=str(path)))
    got = features(opened(path))
    for tap in (MEAN, FLAT):
        assert model.row_bytes(tap, frames=1) == got[tap][0].nbytes


# --- identity


def test_identity_is_of_ids_and_values_wherever_they_lie(tmp_path):
    values = drawn((4, 6), "float32")
    identity = opened(saved(tmp_path, values)).identity(reach_hub=False)
    np.save(tmp_path / "y.npy", values)
    (tmp_path / "y.csv").write_text("id,label\na,cat\nb,dog\nc,cat\nd,dog\n")
    other = opened(tmp_path / "y.npy")
    assert other.identity(reach_hub=True) == identity
    assert other.recipe("final") == {"name": "precomputed"}
    assert other.all_layers() == ("final",)
    assert opened(saved(tmp_path, -values)).identity(reach_hub=False) != identity


# --- refusals


def refusal(model: LatentModel, sample_id: str) -> str:
    with pytest.raises(ForesightError) as caught:
        model.prepare(NO_PICTURE, sample_id)
    return str(caught.value)


def test_a_sample_that_the_file_lacks(tmp_path):
    path = saved(tmp_path, drawn((4, 6), "float32"))
    model = opened(path)
    model.check_samples(["b", "a"])
    with pytest.raises(ForesightError) as caught:
        model.check_samples(["a", "cats/1.png", "cats/2.png"])
    assert str(caught.value) == (
        f"{path}: no row for 2 of 3 samples, such as 'cats/1.png'; its ids are like 'a'. Rows are matched to "
        "the data by id: each sample must have one. To leave out those without, add data.on_error=skip"
    )


def test_a_refused_row_comes_back_from_a_worker_process(tmp_path):
    with pytest.raises(UnusableRow) as caught:
        opened(saved(tmp_path, drawn((4, 6), "float32"))).prepare(NO_PICTURE, "absent")
    sent = pickle.loads(pickle.dumps(caught.value))
    assert (str(sent), sent.sample_id, sent.reason) == (
        f"{tmp_path}/x.npz has no row for 'absent'. To leave such rows out, add data.on_error=skip",
        "absent",
        f"no row in {tmp_path}/x.npz",
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39])
def test_numbers_that_float32_does_not_hold_are_named(tmp_path, bad):
    values = drawn((4, 3, 5), "float64")
    values[2, 1, 4] = bad
    path = saved(tmp_path, values)
    assert refusal(opened(path), "c") == (
        f"{path}: the values of 'c' are not all finite in float32. To leave such rows out, add data.on_error=skip"
    )
    assert features(opened(path), ["a", "b", "d"])[FLAT].shape == (3, 15)


@pytest.mark.parametrize("bits", [0x7F80, 0xFF80, 0x7FC0])
def test_bfloat16_that_is_not_finite(tmp_path, bits):
    values = torch.ones(4, 6).bfloat16()
    values.view(torch.uint16)[1, 3] = bits
    path = tmp_path / "x.safetensors"
    safetensors.torch.save_file({"values": values}, path, metadata={"ids": json.dumps(IDS)})
    assert refusal(opened(path), "b") == (
        f"{path}: the values of 'b' are not all finite in float32. To leave such rows out, add data.on_error=skip"
    )
