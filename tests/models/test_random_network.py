"""The network that was never trained: its weights, and its features against plain numpy."""

from __future__ import annotations

import hashlib
import math
import shlex
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict

from foresight_cli.config import RandomNetworkConfig
from foresight_cli.data.clip import Clip
from foresight_cli.data.shapes import Shapes
from foresight_cli.errors import UsageError
from foresight_cli.latents import load
from foresight_cli.models import Tap, open_model
from foresight_cli.models.random_network import FRAMES, kernels
from foresight_cli.suggest.extract_again import extract_command
from tests.builders import only, pixels

MEAN, FLAT = Tap("final", "channel_mean"), Tap("final", "flat")
WIDTHS = (3, 32, 64, 128, 256)


def config(resolution: int = 64, seed: int = 0) -> RandomNetworkConfig:
    return RandomNetworkConfig("random_network", resolution=resolution, seed=seed)


def noise(seed: int, height: int = 64, width: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def features(*clips, resolution: int = 64, seed: int = 0) -> dict[Tap, torch.Tensor]:
    """Return the features of clips, each a list of pictures or one picture."""
    model = open_model(config(resolution, seed))
    model.load("cpu")
    listed = [clip if isinstance(clip, list) else [clip] for clip in clips]
    batch = [model.prepare(Clip(tuple(map(Image.fromarray, frames))), "a") for frames in listed]
    return model.features(batch, [MEAN, FLAT])


def by_hand(picture: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the grid ``[256, r/16, r/16]`` in float64: numpy's own draw of the weights, and a sum over each window."""
    rng = np.random.default_rng(seed)  # PCG64
    hidden = picture.transpose(2, 0, 1) / 127.5 - 1
    for width, wider in pairwise(WIDTHS):
        bound = math.sqrt(6 / (9 * width))
        kernel = rng.uniform(-bound, bound, (wider, width, 3, 3))
        padded = np.pad(hidden, ((0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::2, ::2]
        hidden = np.maximum(np.einsum("oiyx,ihwyx->ohw", kernel, windows), 0)
    return hidden


# --- the weights


def test_the_weights_are_these_bytes_everywhere():
    digest = hashlib.sha256(b"".join(kernel.astype("<f8").tobytes() for kernel in kernels(0))).hexdigest()
    assert digest == "b31bd39625bcfa3bcc50893ab15bf29405f3541d42a03a4736d25aa69e87a6b7"


def test_the_weights_have_the_variance_of_he():
    for kernel, (width, wider) in zip(kernels(3), pairwise(WIDTHS), strict=True):
        assert kernel.shape == (wider, width, 3, 3)
        assert kernel.var() == pytest.approx(2 / (9 * width), rel=0.1 if width == 3 else 0.02)
        assert abs(kernel.mean()) < 4 * kernel.std() / math.sqrt(kernel.size)
        assert np.abs(kernel).max() <= math.sqrt(6 / (9 * width))


def test_the_seed_alone_decides():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = features(noise(0))
    np.random.default_rng(5).random()
    torch.manual_seed(2)
    assert torch.equal(features(noise(0))[FLAT], first[FLAT])
    assert not torch.equal(features(noise(0), seed=1)[FLAT], first[FLAT])
    torch.manual_seed(1)
    features(noise(0))
    assert torch.equal(torch.random.get_rng_state(), before)  # the global random state is unchanged


# --- the features


@pytest.mark.parametrize(("side", "seed"), [(64, 0), (32, 7)])
def test_features_are_those_of_plain_numpy(side, seed):
    picture = noise(seed, side, side)
    got, want = features(picture, resolution=side, seed=seed), by_hand(picture, seed)
    assert want.shape == (256, side // 16, side // 16)
    assert got[FLAT][0].numpy() == pytest.approx(want.ravel(), rel=1e-6, abs=1e-6)
    assert got[MEAN][0].numpy() == pytest.approx(want.mean(axis=(1, 2)), rel=1e-6, abs=1e-6)
    assert got[FLAT].dtype == got[MEAN].dtype == torch.float32
    assert 0.1 < want.std() < 10  # He's variance: the scale of the pixels is kept


def test_a_picture_is_shrunk_to_the_mean_of_its_cells():
    small = noise(0)
    assert torch.equal(features(small.repeat(3, axis=0).repeat(2, axis=1))[FLAT], features(small)[FLAT])


def test_a_clip_is_its_frames_in_a_grid_of_channels_first():
    frames = [noise(i) for i in range(3)]
    clip, stills = features(frames), features(*frames)
    grid = clip[FLAT].reshape(256, 3, 4, 4)
    assert torch.equal(grid, stills[FLAT].reshape(3, 256, 4, 4).transpose(0, 1))
    assert clip[MEAN][0].numpy() == pytest.approx(stills[MEAN].mean(dim=0).numpy(), rel=1e-5)


def test_batch_mates_change_nothing():
    clips = [[noise(10 * i + k) for k in range(9)] for i in range(8)]
    assert FRAMES < 8 * 9  # more than go through at once
    together = features(*clips)
    for i, clip in enumerate(clips):
        alone = features(clip)
        for tap in (MEAN, FLAT):
            assert torch.allclose(alone[tap][0], together[tap][i], rtol=3e-7, atol=1e-7), tap


def test_flat_keeps_where_things_are_and_the_mean_keeps_less():
    """R2 of (x, y), held out: the design's random networks scored .88/.82 (flat) and .36/.59 (mean) on 250 pictures."""
    shapes = Shapes(per_category=30, size=64)
    got = features(*(np.asarray(shapes.image(i)) for i in range(len(shapes.samples))))
    centre = np.array([[s.attributes["x"], s.attributes["y"]] for s in shapes.samples])
    r2 = {}
    for tap, values in got.items():
        guess = cross_val_predict(
            RidgeCV(np.logspace(-3, 3, 7)), values.double().numpy(), centre, cv=KFold(5, shuffle=True, random_state=0)
        )
        r2[tap] = 1 - ((guess - centre) ** 2).sum() / ((centre - centre.mean(axis=0)) ** 2).sum()
    assert r2[FLAT] > 0.9
    assert 0.1 < r2[MEAN] < r2[FLAT] - 0.2


# --- in the cache


def test_it_is_extracted_like_any_model_and_its_command_leads_back(run, tmp_path):
    words = (
        "extract model=random_network model.seed=3 model.resolution=32 pooling=flat data.per_category=2 data.size=32"
    )
    assert run(*words.split()).exit_code == 0
    (folder,) = tmp_path.glob("outputs/cache/random_network/layer-final/flat/*")
    held = load(folder)
    first = np.asarray(Shapes(per_category=2, size=32).image(0))
    assert held.values.shape == (16, 256 * 2 * 2)
    assert held.values[0].numpy() == pytest.approx(by_hand(first, 3).ravel(), rel=1e-6, abs=1e-6)
    from foresight_cli.latents import Entry

    entry = Entry.open(folder)
    assert entry.recipe.model == {
        "name": "random_network",
        "resolution": 32,
        "resize": "pil-box",
        "seed": 3,
        "network": "conv 3x3 stride 2 + relu, 32-64-128-256, he-uniform of pcg64, float64, pixels in [-1, 1]",
    }
    (folder / "manifest.json").unlink()  # the recipe alone is enough
    command = extract_command(entry, "outputs/cache") or ""
    assert command == (
        "foresight extract model=random_network model.resolution=32 model.seed=3 layer=final pooling=flat data=shapes "
        "data.per_category=2 data.size=32"
    )
    assert run(*shlex.split(command)[1:]).exit_code == 0
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("tap", [MEAN, FLAT])
def test_the_size_is_known_before(tap):
    for frames in (1, 3):
        got = features([noise(i) for i in range(frames)], resolution=48)[tap][0]
        assert open_model(config(48)).row_bytes(tap, frames) == got.nbytes


def test_the_seed_and_the_resolution_are_in_the_key(tmp_path):
    from foresight_cli.extraction.run import extract

    made = [only(extract(pixels(tmp_path, model=config(*of)))) for of in ((64, 0), (64, 1), (32, 0))]
    assert len({entry.recipe.key for entry in made}) == 3


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"resolution": 40}, "model.resolution=40: it must be a multiple of 16, for instance 32"),
        ({"resolution": 0}, "model.resolution=0: it must be a multiple of 16, for instance 16"),
        ({"seed": -1}, "model.seed=-1: it must be at least 0"),
    ],
)
def test_refused_with_a_whole_message(settings, says):
    with pytest.raises(UsageError) as caught:
        config(**settings)
    assert str(caught.value) == says
