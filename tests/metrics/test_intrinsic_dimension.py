import numpy as np
import pytest
from scipy.special import gammainc
from sklearn.datasets import make_swiss_roll

from foresight_cli.metrics import duplicate_groups, mle_dimension, twonn_dimension
from tests.refusal import refusal


def test_digits(oracles, digits):
    expected, x = oracles["L_id"]["digits"], digits[0]
    assert mle_dimension(x) == pytest.approx(expected["mle20_harmonic"], rel=1e-8)
    assert mle_dimension(x, average="arithmetic") == pytest.approx(expected["mle20_arith"], rel=1e-8)
    assert mle_dimension(x, k=10, average="arithmetic") == pytest.approx(expected["mle10_arith_seed"], rel=1e-8)
    assert twonn_dimension(x) == pytest.approx(expected["twonn_fit_0.9"], rel=1e-8)


def test_swiss_roll(oracles, kind):
    expected = oracles["L_id"]["swiss_roll_2000_rs0"]
    x = kind(make_swiss_roll(2000, random_state=0)[0])
    assert mle_dimension(x) == pytest.approx(expected["mle20_harmonic"], rel=1e-4)
    assert twonn_dimension(x) == pytest.approx(expected["twonn_fit_0.9"], rel=1e-3)


def hyper_ball(n, d, seed):
    """Draw uniformly from the unit ball: the same points as scikit-dimension's ``hyperBall``."""
    x = np.random.RandomState(seed).normal(size=(n, d))
    squares = (x**2).sum(axis=1)
    return x * (gammainc(d / 2, squares / 2) ** (1 / d) / np.sqrt(squares))[:, None]


def test_ball(oracles):
    expected, x = oracles["L_id"]["skdim_hyperBall_2000_10_rs0"], hyper_ball(2000, 10, 0)
    assert mle_dimension(x) == pytest.approx(expected["mle20_harmonic"], rel=1e-8)
    assert twonn_dimension(x) == pytest.approx(expected["twonn_fit_0.9"], rel=1e-8)
    padded = np.hstack([hyper_ball(30, 5, 0), np.zeros((30, 5))])
    assert mle_dimension(padded) == pytest.approx(3.3411618, abs=5e-8)


def test_sphere(oracles):
    expected, x = oracles["L_id"]["skdim_hyperSphere_2000_5_rs0"], np.random.RandomState(0).normal(size=(2000, 6))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    assert mle_dimension(x) == pytest.approx(expected["mle20_harmonic"], rel=1e-8)
    assert twonn_dimension(x) == pytest.approx(expected["twonn_fit_0.9"], rel=1e-8)


def near_duplicates(seed):
    """Return the difficult case of oracles/README.md: 350 rows of dimension 8, then 50 near-copies each of two rows."""
    rng, d = np.random.default_rng(seed), 8192
    rows = rng.standard_normal((350, 8)) @ (rng.standard_normal((8, d)) / np.sqrt(d))
    copies = [np.tile(3 * rng.standard_normal(d) / np.sqrt(d), (50, 1)) for _ in range(2)]
    x = np.vstack([rows, *copies])
    return x + 1e-2 * np.sqrt(8 / d) * rng.standard_normal(x.shape)


def test_near_duplicates_inflate_only_the_arithmetic_mean():
    x = near_duplicates(0)
    assert mle_dimension(x, k=10, average="arithmetic") > 60
    assert mle_dimension(x, k=10) < 12
    assert twonn_dimension(x) < 12
    assert duplicate_groups(x) == (tuple(range(350, 400)), tuple(range(400, 450)))


def test_exact_duplicates_change_nothing():
    x = np.random.default_rng(0).standard_normal((200, 5))
    twice = np.vstack([x, x[:50]])
    assert mle_dimension(twice) == pytest.approx(mle_dimension(x), rel=1e-6)
    assert twonn_dimension(twice) == pytest.approx(twonn_dimension(x), rel=1e-6)


def test_known_dimensions_and_invariance():
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(2000, 3)) @ np.linalg.qr(rng.standard_normal((20, 3)))[0].T
    for measure in (mle_dimension, twonn_dimension):
        value = measure(x)
        assert value == pytest.approx(3, rel=0.1)
        assert measure(4 * x + 3) == pytest.approx(value, rel=1e-8)
        assert measure(x[::-1]) == pytest.approx(value, rel=1e-8)


def test_discard_keeps_all_but_the_last():
    x = np.random.default_rng(0).standard_normal((100, 4))
    assert twonn_dimension(x, discard=0) == twonn_dimension(x, discard=0.01)


def test_refusals():
    x = np.random.default_rng(0).standard_normal((10, 3))
    assert refusal(mle_dimension, x) == "x has 10 distinct rows: mle_dimension wants at least 21 at k=20"
    assert refusal(mle_dimension, x, k=1) == "k=1: wanted at least 2 neighbours"
    assert refusal(mle_dimension, x, average="mean") == "average='mean': wanted one of harmonic, arithmetic"
    assert refusal(twonn_dimension, x, discard=1) == "discard=1: wanted a share from 0, below 1"
    assert refusal(twonn_dimension, np.ones((10, 2))) == (
        "x has 1 distinct rows: twonn_dimension wants at least 3 at k=2"
    )
    assert refusal(mle_dimension, np.eye(30)) == (
        "x has rows that are all equally far from their neighbours: its dimension is undefined"
    )
    assert refusal(twonn_dimension, np.eye(30)) == (
        "x has rows whose two nearest are equally far: its TwoNN dimension is undefined"
    )
    assert refusal(mle_dimension, np.eye(30), average="arithmetic") == (
        "x has 30 rows whose 20 nearest are all equally far: their arithmetic mean is infinite; use average='harmonic'"
    )
