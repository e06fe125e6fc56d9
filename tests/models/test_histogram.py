"""The colour histogram, against closed forms."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from foresight_cli.config import HistogramConfig
from foresight_cli.data.clip import Clip
from foresight_cli.models import Tap, open_model

TAP = Tap("final", "flat")


def histogram(picture: np.ndarray, bins: int = 4, tap: Tap = TAP) -> np.ndarray:
    model = open_model(HistogramConfig(name="histogram", bins=bins))
    model.load("cpu")
    return model.features([model.prepare(Clip((Image.fromarray(picture),)), "a")], [tap])[tap][0].numpy()


@pytest.mark.parametrize(
    ("colour", "cell"), [((0, 0, 0), 0), ((255, 255, 255), 63), ((64, 0, 0), 16), ((63, 64, 128), 6)]
)
def test_one_colour_fills_one_cell(colour, cell):
    got = histogram(np.full((3, 5, 3), colour, dtype=np.uint8))
    assert got.tolist() == [float(i == cell) for i in range(64)]


@pytest.mark.parametrize("bins", [2, 3, 4, 5, 16])
def test_every_colour_once_by_brute_force(bins):
    """Cells are counted one by one; level v of 256 is in bin floor(v * bins / 256)."""
    levels = np.array(list(itertools.product(range(0, 256, 17), repeat=3)), dtype=np.uint8)
    want = np.zeros((bins, bins, bins))
    for red, green, blue in levels.tolist():
        want[red * bins // 256, green * bins // 256, blue * bins // 256] += 1 / len(levels)
    assert histogram(levels[None], bins) == pytest.approx(want.ravel(), abs=1e-7)


def test_shares_add_up_to_one_and_hold_no_position():
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    moved = np.random.default_rng(1).permutation(picture.reshape(-1, 3)).reshape(30, 20, 3)
    assert histogram(picture).sum() == pytest.approx(1, abs=1e-6)
    assert np.array_equal(histogram(picture), histogram(moved))


def test_both_poolings_are_the_same_one_token():
    picture = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    assert np.array_equal(histogram(picture), histogram(picture, tap=Tap("final", "channel_mean")))
    assert histogram(picture, tap=TAP).dtype == torch.zeros(1).numpy().dtype
