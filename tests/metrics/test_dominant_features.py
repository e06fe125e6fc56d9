import numpy as np
import pytest

from foresight_cli.metrics import dominant_features
from tests.refusal import refusal


def test_shares_of_the_variance(kind):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 40)) * np.r_[10, 1, 20, np.ones(37)] + 100
    variance = x.var(axis=0)
    result = dominant_features(kind(x))
    assert result.indices == (2, 0) if variance[0] / variance.sum() > 0.2 else (2,)
    assert result.shares[0] == pytest.approx(variance[2] / variance.sum(), rel=1e-4)
    unlimited = dominant_features(kind(x), share=0)
    assert sorted(unlimited.indices) == list(range(40))
    assert unlimited.shares == pytest.approx(np.sort(variance / variance.sum())[::-1], rel=1e-4)
    assert sum(unlimited.shares) == pytest.approx(1)


def test_only_more_than_the_share_counts():
    """Two columns of equal variance have exactly half of it each."""
    x = [[1.0, 1], [-1, 1], [1, -1], [-1, -1]]
    assert dominant_features(x, share=0.5).indices == ()
    assert dominant_features(x, share=0.49).indices == (0, 1)
    assert dominant_features(x, share=0.49).shares == (0.5, 0.5)


def test_invariances():
    x = np.random.default_rng(0).standard_normal((50, 10)) * [9, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    result = dominant_features(x)
    assert result.indices == (0,)
    for moved in (x * 1e200, x * 1e-200, x[::-1], -x):
        assert dominant_features(moved).shares == pytest.approx(result.shares, rel=1e-12)
    assert dominant_features(x + 1e6).shares == pytest.approx(result.shares, rel=1e-8)


def test_refusals():
    x = np.random.default_rng(0).standard_normal((5, 3))
    assert refusal(dominant_features, x, share=1) == "share=1: wanted a number from 0, below 1"
    assert refusal(dominant_features, x, share=-0.1) == "share=-0.1: wanted a number from 0, below 1"
    assert refusal(dominant_features, np.ones((5, 3))) == (
        "x is constant: all its 5 rows are equal, and dominant_features wants rows that vary"
    )
    assert refusal(dominant_features, x[:1]) == "x has 1 rows: dominant_features wants at least 2"
