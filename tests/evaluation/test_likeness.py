"""Tests of PSNR and SSIM against scikit-image and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from foresight_cli.evaluation.likeness import Likeness, likeness


def smooth(seed: int, frames: int, height: int, width: int) -> torch.Tensor:
    cells = torch.rand(frames, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(cells, size=(height, width), mode="bilinear").movedim(1, -1)


@pytest.mark.parametrize(("height", "width"), [(11, 11), (32, 32), (40, 24)])
@pytest.mark.parametrize("frames", [1, 3])
def test_equals_scikit_image(frames, height, width):
    true = smooth(0, frames, height, width)
    made = (true + 0.4 * smooth(1, frames, height, width) - 0.2).clamp(0, 1)
    a, b = made.double().numpy(), true.double().numpy()
    result = likeness(made, true)
    assert result.psnr == pytest.approx(peak_signal_noise_ratio(b, a, data_range=1), abs=1e-5)
    of_frames = [
        structural_similarity(
            x, y, data_range=1, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        for x, y in zip(a, b, strict=True)
    ]
    assert result.ssim == pytest.approx(np.mean(of_frames), abs=2e-5)
    assert 0.5 < result.ssim < 0.95


def test_flat_pictures_have_a_closed_form():
    """Without structure SSIM is its luminance: (2 a b + C1) / (a^2 + b^2 + C1), with C1 = 0.01^2."""
    dark, light = (torch.full((2, 16, 16, 3), value) for value in (0.25, 0.5))
    result = likeness(dark, light)
    assert result.psnr == pytest.approx(20 * math.log10(4), abs=1e-5)
    assert result.ssim == pytest.approx((0.25 + 1e-4) / (0.3125 + 1e-4), abs=2e-5)


def test_equal_pictures():
    picture = smooth(0, 1, 16, 16)
    assert likeness(picture, picture) == Likeness(math.inf, pytest.approx(1, abs=1e-6))


def test_psnr_is_of_all_frames_and_ssim_their_mean():
    true = smooth(0, 2, 16, 16)
    made = torch.stack([true[0], (true[1] + 0.2).clamp(0, 1)])
    first, second = (likeness(made[i : i + 1], true[i : i + 1]) for i in range(2))
    both = likeness(made, true)
    assert both.psnr == pytest.approx(second.psnr + 10 * math.log10(2), abs=1e-5)  # half the squared error
    assert both.ssim == pytest.approx((first.ssim + second.ssim) / 2, abs=1e-5)


@pytest.mark.parametrize(("height", "width"), [(10, 32), (32, 10), (1, 1)])
def test_pictures_smaller_than_the_window_have_no_ssim(height, width):
    grey = torch.full((1, height, width, 3), 0.5)
    assert likeness(grey + 0.1, grey) == Likeness(pytest.approx(20, abs=1e-4), None)
