import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.stats import norm, spearmanr

from foresight_cli.inference.bootstrap import ratio_bounds, spearman_interval


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


def names(n):
    return [str(i) for i in range(n)]


def test_ratio_of_equal_residuals_is_one():
    rng = np.random.default_rng(0)
    residual, total = rng.random(50), 5 + rng.random(50)
    ratio = ratio_bounds(residual, residual, total, names(50))
    assert (ratio.value, ratio.low, ratio.high, ratio.lower, ratio.upper) == pytest.approx((1, 1, 1, 1, 1))


def test_the_ratio_is_within_its_bounds():
    rng = np.random.default_rng(0)
    top, bottom, total = 0.5 * rng.random(200), 0.2 * rng.random(200), 1 + rng.random(200)
    ratio = ratio_bounds(top, bottom, total, names(200))
    assert ratio.value == pytest.approx((1 - top.sum() / total.sum()) / (1 - bottom.sum() / total.sum()))
    assert ratio.low < ratio.lower < ratio.value < ratio.high < ratio.upper
    assert ratio.high - ratio.low < 0.1


@pytest.mark.parametrize(("folds", "widening"), [(1, 1.0), (5, 1.6**0.5)])
def test_bounds_of_an_r2_are_those_of_the_delta_method(folds, widening):
    """With a denominator of 1 the ratio is an R2, and its error has a closed form."""
    rng = np.random.default_rng(0)
    residual, total = rng.random(1000), 2 + rng.random(1000)
    ratio = ratio_bounds(residual, np.zeros(1000), total, names(1000), folds=folds, resamples=10_000)
    share = residual.sum() / total.sum()
    error = widening * np.sqrt(((residual - share * total) ** 2).sum()) / total.sum()
    assert ratio.value == pytest.approx(1 - share)
    bounds = [ratio.low, ratio.high, ratio.lower, ratio.upper]
    wanted = [ratio.value + error * norm.ppf(q) for q in (0.025, 0.975, 0.05, 1 - 0.05 / 3)]
    assert bounds == pytest.approx(wanted, abs=0.08 * error)


def test_a_stricter_futility_moves_the_upper_bound_alone():
    rng = np.random.default_rng(0)
    sums = (rng.random(100), np.zeros(100), 2 + rng.random(100), names(100))
    loose, strict = ratio_bounds(*sums, futility=0.05), ratio_bounds(*sums, futility=0.001)
    assert strict.upper > loose.upper
    assert (strict.low, strict.high, strict.lower) == (loose.low, loose.high, loose.lower)


def test_rows_of_a_group_count_once():
    rng = np.random.default_rng(0)
    top, bottom, total = 0.5 * rng.random(60), 0.2 * rng.random(60), 1 + rng.random(60)
    once = ratio_bounds(top, bottom, total, names(60))
    twice = ratio_bounds(*(np.repeat(v, 2) for v in (top, bottom, total)), np.repeat(names(60), 2).tolist())
    assert vars(once) == pytest.approx(vars(twice))
