"""Filling the shards of an entry: refusals, damaged shards, and kills."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from foresight_cli.config import (
    ExtractConfig,
    ImageFolderConfig,
    LocalConfig,
    PixelsConfig,
    Qwen25VLConfig,
    ShapesConfig,
)
from foresight_cli.errors import ForesightError
from foresight_cli.extraction.run import extract
from foresight_cli.latents import load
from foresight_cli.models.pixels import Pixels
from tests.builders import visible

PIXELS = ExtractConfig(
    model=PixelsConfig(name="pixels", resolution=4),
    layers=("final",),
    poolings=("channel_mean",),
    data=ShapesConfig(name="shapes", variant="default", per_category=2, seed=0, size=32),
    weights="hub",
    runner=LocalConfig("local", workers=1),
    cache_dir="cache",
    device="cpu",
    batch_size=16,
    rows_per_shard=4,
)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("rows_per_shard", "workers"), [(8, 1), (1, 1), (2, 2)])
def test_flat_of_two_sizes_names_both(tmp_path, qwen_checkpoint, rows_per_shard, workers):
    for i, (name, height) in enumerate({"a.png": 56, "b.png": 56, "c.png": 84}.items()):
        noise = np.random.default_rng(i).integers(0, 256, (height, 56, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / name)
    data = ImageFolderConfig(name="imagefolder", path=str(tmp_path), on_error="raise")
    model = Qwen25VLConfig(
        "qwen25vl", str(qwen_checkpoint), None, "float32", "pretrained", 0, None, "image", "Describe.", True
    )
    config = dataclasses.replace(PIXELS, data=data, model=model, layers=("4",), poolings=("flat",))
    says = (
        "pooling=flat needs the same size for all samples: 'a.png' has 128 values and 'c.png' has 192. "
        "Resize them all with model.resolution=252, or use pooling=channel_mean"
    )
    for _ in range(2):  # the second run finds the shards of the first, and is refused in the same way
        with pytest.raises(ForesightError) as caught:
            extract(dataclasses.replace(config, rows_per_shard=rows_per_shard, runner=LocalConfig("local", workers)))
        assert str(caught.value) == says
    assert load(*extract(dataclasses.replace(config, poolings=("channel_mean",))).values()).values.shape == (3, 32)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_latents_that_are_not_finite_are_refused_and_named(tmp_path, monkeypatch, bad):
    plain = Pixels.features

    def spoiled(self, batch, taps):
        read = plain(self, batch, taps)
        for values in read.values():
            for row, picture in enumerate(batch):
                if picture.sample_id in ("square-0000", "ring-0001"):
                    values[row, 1] = bad
        return read

    monkeypatch.setattr(Pixels, "features", spoiled)
    with pytest.raises(ForesightError) as caught:
        extract(dataclasses.replace(PIXELS, rows_per_shard=16))
    assert str(caught.value) == (
        "layer=final: the latents of 2 samples are not finite ('square-0000', 'ring-0001'). "
        "The samples themselves are not finite"
    )
    assert not list(tmp_path.rglob("shard-*"))


def test_only_the_damaged_shard_is_done_again(tmp_path):
    entry = next(iter(extract(PIXELS).values()))
    whole = visible(tmp_path)
    path = entry.shard_files()[2]
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    times = {file: file.stat().st_mtime_ns for file in entry.shard_files().values() if file != path}
    with pytest.raises(ForesightError, match="redo only shard 2"):
        load(entry)
    extract(PIXELS)
    assert visible(tmp_path) == whole
    assert {file: file.stat().st_mtime_ns for file in times} == times
