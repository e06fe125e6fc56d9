"""Fixtures for the tests of previews: the shipped autoencoder's latents of drawn shapes and of films."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from foresight_cli.config import LTXVConfig, VideoConfig
from foresight_cli.data import Dataset, open_dataset
from foresight_cli.extraction.run import extract
from foresight_cli.latents import Entry, load
from tests.builders import SHAPES, only, pixels
from tests.data.video_files import real_videos

LTXV = LTXVConfig(
    name="ltxv",
    checkpoint="tiny:ltxv",
    revision=None,
    subfolder="vae",
    dtype="float32",
    init="pretrained",
    init_seed=0,
    resolution=64,
    sample=False,
    seed=0,
    normalize=False,
)


def cached(root: Path, data, model=LTXV, pooling: str = "flat") -> tuple[Entry, Dataset]:
    config = pixels(root, model=model, data=data, layers=("final",), poolings=(pooling,), rows_per_shard=5)
    return only(extract(config)), open_dataset(data)


def predictions(entry: Entry, ids) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the true latents of samples, and the same moved half way to the mean of all."""
    latents = load(entry)
    truth = latents.values[[latents.ids.index(i) for i in ids]]
    return truth, (truth + latents.values.mean(dim=0)) / 2


@pytest.fixture(scope="session")
def stills(tmp_path_factory) -> tuple[Entry, Dataset]:
    """Return 16 drawn shapes of 32 pixels, resized to 64 for the network, in four shards."""
    return cached(tmp_path_factory.mktemp("stills"), SHAPES)


@pytest.fixture(scope="session")
def films(tmp_path_factory) -> tuple[Entry, Dataset]:
    """Return four clips of 9 frames, 8 per second, of a film in two qualities."""
    folder = tmp_path_factory.mktemp("films")
    for path in real_videos():
        if "carphone" in path.stem:
            shutil.copy(path, folder)
    data = VideoConfig("video", str(folder), frames=9, fps=8, clips_per_file=2, on_error="raise")
    return cached(tmp_path_factory.mktemp("clips"), data)
