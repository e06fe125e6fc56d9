import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from foresight_cli.inference.bootstrap import ratio_interval, spearman_interval


def spaces(n, noise, rng):
    z = rng.standard_normal((n, 6))
    return z, z + noise * rng.standard_normal((n, 6))


def test_the_spearman_interval_covers_and_is_not_biased_upwards():
    rng = np.random.default_rng(0)
    truth = spearmanr(*map(pdist, spaces(1200, 1.0, rng))).statistic
    inside = 0
    for _ in range(30):
        x, y = spaces(80, 1.0, rng)
        low, high = spearman_interval(torch.tensor(pdist(x)), torch.tensor(pdist(y)), resamples=100)
        inside += low < truth < high
    assert inside >= 25


def test_identical_spaces_correlate_fully_in_every_resample():
    x = torch.tensor(pdist(np.random.default_rng(0).standard_normal((40, 3))))
    assert spearman_interval(x, x) == pytest.approx((1.0, 1.0))


def test_ratio_of_equal_residuals_is_one():
    rng = np.random.default_rng(0)
    residual, total = rng.random(50), 5 + rng.random(50)
    assert ratio_interval(residual, residual, total, [str(i) for i in range(50)]) == pytest.approx((1, 1))


def test_ratio_interval_holds_the_ratio():
    rng = np.random.default_rng(0)
    top, bottom, total = 0.5 * rng.random(200), 0.2 * rng.random(200), 1 + rng.random(200)
    low, high = ratio_interval(top, bottom, total, [str(i) for i in range(200)])
    assert low < (1 - top.sum() / total.sum()) / (1 - bottom.sum() / total.sum()) < high
    assert high - low < 0.1
