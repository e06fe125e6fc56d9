"""The thumbnail, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from foresight_cli.config import PixelsConfig
from foresight_cli.data.clip import Clip
from foresight_cli.models import Tap, open_model

MEAN, FLAT = Tap("final", "channel_mean"), Tap("final", "flat")


def features(*pictures: np.ndarray, resolution: int = 4) -> dict[Tap, torch.Tensor]:
    model = open_model(PixelsConfig(name="pixels", resolution=resolution))
    model.load("cpu")
    batch = [model.prepare(Clip((Image.fromarray(p),)), str(i)) for i, p in enumerate(pictures)]
    return model.features(batch, [MEAN, FLAT])


def test_a_picture_of_cells_is_read_back_exactly():
    """An 8 x 8 picture of 2 x 2 cells: each value of the thumbnail is its cell's, red first, row by row."""
    cells = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    got = features(cells.repeat(2, axis=0).repeat(2, axis=1))
    want = cells.transpose(2, 0, 1).astype(np.float32) / 255
    assert torch.equal(got[FLAT][0], torch.from_numpy(want.ravel()))
    assert got[MEAN][0].numpy() == pytest.approx(want.mean(axis=(1, 2)), abs=1e-7)


def test_each_value_is_the_mean_of_its_cell():
    picture = np.random.default_rng(1).integers(0, 256, (32, 16, 3), dtype=np.uint8)
    want = picture.reshape(4, 8, 4, 4, 3).mean(axis=(1, 3)).transpose(2, 0, 1) / 255
    assert features(picture)[FLAT][0].numpy() == pytest.approx(
        want.ravel(), abs=1 / 255
    )  # PIL rounds to 8 bits, rows then columns


def test_range_and_shape():
    black, white = np.zeros((5, 7, 3), np.uint8), np.full((9, 3, 3), 255, np.uint8)
    got = features(black, white, resolution=8)
    assert got[FLAT].shape == (2, 3 * 8 * 8)
    assert got[MEAN].tolist() == [[0, 0, 0], [1, 1, 1]]
    assert got[FLAT].dtype == torch.float32


def test_batch_mates_change_nothing():
    pictures = [np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8) for i in range(5)]
    together = features(*pictures)
    for i, picture in enumerate(pictures):
        alone = features(picture)
        for tap in (MEAN, FLAT):
            assert torch.equal(alone[tap][0], together[tap][i])
