"""Tests of the controls: their values and their caching."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from foresight_cli.config import RandomNetworkConfig
from foresight_cli.config.controls import CONTROL_MODELS
from foresight_cli.data.shapes import Shapes
from foresight_cli.errors import UsageError
from foresight_cli.inputs.controls import control_latents
from foresight_cli.latents import Entry
from foresight_cli.models.random_network import RandomNetwork
from tests.builders import SHAPES
from tests.made_entries import made


def test_each_control_holds_what_its_name_says(tmp_path):
    shapes = Shapes(per_category=2, size=32)
    pictures = np.stack([np.asarray(shapes.image(i)) for i in range(16)]).astype(float)
    got = control_latents(list(CONTROL_MODELS), SHAPES, str(tmp_path))
    assert list(got) == ["pixels", "histogram", "mean_rgb", "random_network"]
    assert {name: held.values.shape[1] for name, held in got.items()} == {
        "pixels": 3 * 8 * 8,
        "histogram": 4**3,
        "mean_rgb": 3,
        "random_network": 256 * 4 * 4,
    }
    for held in got.values():
        assert held.ids == [sample.id for sample in shapes.samples]
        assert held.values.dtype == torch.float32
    cells = pictures.reshape(16, 8, 4, 8, 4, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2) / 255
    levels = (pictures // 64).astype(int) @ [16, 4, 1]
    counts = np.stack([np.bincount(picture.ravel(), minlength=64) / 1024 for picture in levels])
    assert got["pixels"].values.numpy() == pytest.approx(cells.reshape(16, -1), abs=1 / 255)  # PIL rounds twice
    assert got["mean_rgb"].values.numpy() == pytest.approx(pictures.mean(axis=(1, 2)) / 255, abs=1 / 255)
    assert got["histogram"].values.numpy() == pytest.approx(counts, abs=1e-6)
    network = RandomNetwork(RandomNetworkConfig("random_network", resolution=64, seed=0))
    assert Entry.open(*tmp_path.glob("random_network/*/*/*")).recipe.model == network.recipe("final")


def test_what_is_asked_for_is_computed_once(tmp_path, monkeypatch):
    first = control_latents(["random_network"], SHAPES, str(tmp_path))
    assert not (tmp_path / "pixels").exists()
    monkeypatch.setattr(RandomNetwork, "load", lambda *_: pytest.fail("the network was built again"))
    again = control_latents(["random_network"], SHAPES, str(tmp_path))
    assert torch.equal(first["random_network"].values, again["random_network"].values)


def test_an_unknown_control_is_refused_before_any_is_extracted(tmp_path):
    with pytest.raises(UsageError) as caught:
        control_latents(["pixels", "clip"], SHAPES, str(tmp_path))
    assert str(caught.value) == "controls=clip: choose one of pixels, histogram, mean_rgb, random_network"
    assert not list(tmp_path.iterdir())


def test_a_cache_that_cannot_be_written_leaves_them_out(tmp_path, caplog):
    (tmp_path / "file").touch()
    assert control_latents(["pixels", "mean_rgb"], SHAPES, f"{tmp_path}/file") == {}
    keys = {}
    for name, side in (("pixels", 8), ("mean_rgb", 1)):
        words = ("model=pixels", f"model.resolution={side}", "pooling=flat", "data.per_category=2", "data.size=32")
        keys[made(tmp_path, *words).path.name] = name
    assert caplog.messages == [
        f"warning: the control {name} is not measured: cannot write {tmp_path}/file/pixels/layer-final/flat/{key}: Not "
        "a directory. Make room or pick another place with cache_dir=DIR; what is already written is kept, and the "
        "same command resumes from there"
        for key, name in keys.items()
    ]
