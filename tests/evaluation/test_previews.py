"""Tests of decoded samples: the pictures against diffusers and PIL alone, the numbers against scikit-image."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderKLLTXVideo
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from foresight_cli.config import AutoencoderConfig
from foresight_cli.data.shapes import Shapes
from foresight_cli.errors import ForesightError
from foresight_cli.evaluation.previews import best_median_worst, decodable, preview
from foresight_cli.models.checkpoint import TINY
from tests.builders import SHAPES, pixels
from tests.evaluation.conftest import LTXV, cached, predictions


def by_hand(sample, truth, predicted, frames):
    """Return the three pictures of a sample: read and resized by PIL, encoded and decoded by diffusers."""
    seen = np.stack([np.asarray(f.resize((64, 64), Image.Resampling.BICUBIC)) for f in frames]) / 255
    vae = AutoencoderKLLTXVideo.from_pretrained(TINY / "ltxv/vae", low_cpu_mem_usage=False).eval()
    with torch.no_grad():
        z = vae.encode(torch.from_numpy(seen * 2 - 1).float().movedim(-1, 0)[None]).latent_dist.mode()
        torch.testing.assert_close(z.flatten(), truth, rtol=0, atol=1e-4)
        own, adapted = (vae.decode(x.reshape(z.shape)).sample[0].movedim(0, -1) / 2 + 0.5 for x in (z, predicted))
    return seen, own.clamp(0, 1).numpy(), adapted.clamp(0, 1).numpy()


def measured(made, true) -> tuple[float, float]:
    ssim = [
        structural_similarity(
            a, b, data_range=1, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        for a, b in zip(made.astype(float), true.astype(float), strict=True)
    ]
    return peak_signal_noise_ratio(true.astype(float), made.astype(float), data_range=1), float(np.mean(ssim))


@pytest.mark.parametrize("kind", ["stills", "films"])
def test_pictures_and_numbers(kind, request):
    entry, dataset = request.getfixturevalue(kind)
    order = [s.id for s in dataset.samples]
    ids = [order[-1], order[0]]  # of different shards, not in their order
    truth, predicted = predictions(entry, ids)
    previews = preview(entry, predicted, ids, ["best: R² 0.75", "worst: R² 0.75"], dataset, "cpu")
    assert previews.model == "ltxv"
    assert [(s.id, s.label) for s in previews.samples] == [(ids[0], "best: R² 0.75"), (ids[1], "worst: R² 0.75")]
    for i, sample in enumerate(previews.samples):
        clip = dataset.clip(order.index(ids[i]))
        assert sample.fps == clip.fps == {"stills": None, "films": 8.0}[kind]
        want = by_hand(sample, truth[i], predicted[i], clip.frames)
        assert want[0].shape == ({"stills": 1, "films": 9}[kind], 64, 64, 3)
        for shown, true in zip((sample.original, sample.reconstruction, sample.prediction), want, strict=True):
            np.testing.assert_allclose(shown.numpy(), true, rtol=0, atol=1e-4)
        pairs = ((sample.ceiling, 1, 0), (sample.to_original, 2, 0), (sample.to_reconstruction, 2, 1))
        for likeness, made, true in pairs:
            psnr, ssim = measured(want[made], want[true])
            assert likeness.psnr == pytest.approx(psnr, abs=2e-3)
            assert likeness.ssim == pytest.approx(ssim, abs=2e-4)
        if kind == "stills":  # which the shipped autoencoder was trained on
            assert sample.ceiling.psnr > sample.to_original.psnr > 20


def test_true_latents_reach_the_ceiling(stills):
    entry, dataset = stills
    truth, _ = predictions(entry, ["star-0001"])
    (sample,) = preview(entry, truth, ["star-0001"], ["best"], dataset, "cpu").samples
    assert sample.to_original == sample.ceiling
    assert sample.to_reconstruction.psnr == math.inf


def test_any_autoencoder_of_diffusers(tmp_path):
    torch.manual_seed(0)
    vae = AutoencoderKL(norm_num_groups=4, block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2,
                        up_block_types=("UpDecoderBlock2D",) * 2, shift_factor=0.25).eval()  # fmt: skip
    vae.save_pretrained(tmp_path / "vae")
    settings = dataclasses.asdict(LTXV) | {
        "name": "autoencoder",
        "checkpoint": str(tmp_path),
        "normalize": True,
        "resolution": 32,
    }
    entry, dataset = cached(tmp_path / "cache", SHAPES, AutoencoderConfig(**settings))
    assert decodable(entry)
    truth, _ = predictions(entry, ["ring-0000"])
    (sample,) = preview(entry, truth * 0.9, ["ring-0000"], ["best"], dataset, "cpu").samples
    with torch.no_grad():
        made = vae.decode(truth[0].reshape(1, 4, 16, 16) * 0.9 / 0.18215 + 0.25).sample[0].movedim(0, -1) / 2 + 0.5
    torch.testing.assert_close(sample.prediction[0], made.clamp(0, 1), rtol=0, atol=1e-5)


# --- which samples


@pytest.mark.parametrize(
    ("residual", "rows", "labels"),
    [
        ([], [], []),
        ([2], [0], ["best: held-out R² 0.50"]),
        ([2, 1], [1, 0], ["best: held-out R² 0.75", "worst: held-out R² 0.50"]),
        ([6, 1, 2], [1, 2, 0], ["best: held-out R² 0.75", "median: held-out R² 0.50", "worst: held-out R² -0.50"]),
        ([3, 1, 2, 0], [3, 1, 0], ["best: held-out R² 1.00", "median: held-out R² 0.75", "worst: held-out R² 0.25"]),
        ([0, 0, 0], [0, 1, 2], ["best: held-out R² 1.00", "median: held-out R² 1.00", "worst: held-out R² 1.00"]),
    ],
)
def test_best_median_and_worst(residual, rows, labels):
    assert best_median_worst(np.array(residual, dtype=float), np.full(len(residual), 4.0)) == (rows, labels)


def test_rows_at_the_mean_have_no_r2():
    residual, total = np.array([0.0, 1.0, 2.0, 1.0]), np.array([0.0, 2.0, 2.0, 4.0])
    assert best_median_worst(residual, total) == (
        [3, 1, 2],
        ["best: held-out R² 0.75", "median: held-out R² 0.50", "worst: held-out R² 0.00"],
    )


# --- what cannot be shown


def test_only_flat_latents_of_autoencoders(tmp_path):
    pooled, dataset = cached(tmp_path, SHAPES, pooling="channel_mean")
    thumbnails, _ = cached(tmp_path, SHAPES, pixels(tmp_path).model)
    for entry, settings in ((pooled, "model=ltxv pooling=channel_mean"), (thumbnails, "model=pixels pooling=flat")):
        assert not decodable(entry)
        with pytest.raises(ForesightError) as caught:
            preview(entry, torch.zeros(1, 128), ["star-0001"], ["best"], dataset, "cpu")
        assert str(caught.value) == (
            f"{settings}: only latents of model=ltxv and model=autoencoder with pooling=flat can be decoded to pictures"
        )


class Moved(Shapes):
    """The same pictures in another order."""

    def __init__(self) -> None:
        super().__init__(per_category=2, size=32)
        self.samples = self.samples[::-1]


@pytest.mark.parametrize(
    ("sample_id", "dataset", "reason"),
    [
        ("star-0009", Shapes(per_category=2, size=32), "the data has no sample 'star-0009' any more"),
        (
            "star-0001",
            Shapes(per_category=2, size=32, seed=1),
            "the picture of 'star-0001' has changed since its latents were cached",
        ),
        ("star-0001", Moved(), "the data lists 'star-0001' in another place than when it was extracted"),
        (
            "bar-0001",
            Shapes(per_category=3, size=32),
            "the data lists 'bar-0001' in another place than when it was extracted",
        ),
    ],
)
def test_other_data_is_a_warning(stills, caplog, sample_id, dataset, reason):
    assert preview(stills[0], torch.zeros(1, 512), [sample_id], ["best"], dataset, "cpu") is None
    assert [r.getMessage() for r in caplog.records] == [f"warning: no previews: {reason}"]


def test_a_device_that_is_not_there(stills, caplog):
    truth, _ = predictions(stills[0], ["star-0001"])
    assert preview(stills[0], truth, ["star-0001"], ["best"], stills[1], "cuda:99") is None
    assert caplog.messages[0].startswith("warning: no previews: device=cuda:99 cannot be used: ")
    assert len(caplog.messages) == 1


@pytest.fixture
def user_entry(tmp_path):
    """Return latents of a checkpoint in a folder of the user, which may change."""
    shutil.copytree(TINY / "ltxv", tmp_path / "mine")
    model = dataclasses.replace(LTXV, checkpoint=str(tmp_path / "mine"))
    return cached(tmp_path / "cache", dataclasses.replace(SHAPES, per_category=1), model)


def warning(entry, dataset, caplog) -> str:
    truth, _ = predictions(entry, ["star-0000"])
    assert preview(entry, truth, ["star-0000"], ["best"], dataset, "cpu") is None
    (message,) = caplog.messages
    return message


def test_a_checkpoint_that_has_changed_is_a_warning(user_entry, caplog, tmp_path):
    config = tmp_path / "mine/vae/config.json"
    config.write_text(config.read_text().replace('"scaling_factor": 1.0', '"scaling_factor": 2.0'))
    assert warning(*user_entry, caplog) == (
        f"warning: no previews: {tmp_path / 'mine'} has changed since {user_entry[0].path} was made. Extract it again"
    )


def test_a_checkpoint_that_is_gone_is_a_warning(user_entry, caplog, tmp_path):
    shutil.rmtree(tmp_path / "mine")
    assert warning(*user_entry, caplog) == (
        f"warning: no previews: no folder {tmp_path / 'mine'}. model.checkpoint= wants a folder written by "
        "save_pretrained or a hub id; or leave it out and add weights=tiny"
    )


@pytest.mark.parametrize("change", [lambda kept: kept.pop("model"), lambda kept: kept["model"].update(colour=1)])
def test_settings_of_another_version_are_a_warning(user_entry, caplog, change):
    path = user_entry[0].path / "manifest.json"
    manifest = json.loads(path.read_bytes())
    change(manifest["provenance"])
    path.write_text(json.dumps(manifest))
    assert warning(*user_entry, caplog) == (
        f"warning: no previews: {user_entry[0].path} was made with settings that this version of foresight does not "
        "know. Extract it again"
    )
