import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, pdist

from foresight_cli.metrics import distances as module
from foresight_cli.metrics.distances import RowDistances, round_to_ties
from tests.refusal import refusal

X = np.random.default_rng(0).standard_normal((40, 6)) + 3


@pytest.mark.parametrize("distance", module.DISTANCES)
def test_equal_to_scipy(distance):
    space = RowDistances(torch.tensor(X), distance, "x")
    np.testing.assert_allclose(space.condensed().numpy(), pdist(X, distance), rtol=1e-11)
    left, right = torch.arange(0, 20), torch.arange(20, 40)
    expected = cdist(X[:20], X[20:], distance).diagonal()
    np.testing.assert_allclose(space.of_pairs(left, right).numpy(), expected, rtol=1e-11)


def test_tiles_do_not_change_the_answer(monkeypatch):
    space = RowDistances(torch.tensor(X), "euclidean", "x")
    whole = space.condensed()
    monkeypatch.setattr(module, "TILE_NUMBERS", 130)
    torch.testing.assert_close(space.condensed(), whole, rtol=1e-13, atol=0)


def test_near_duplicates_far_from_the_origin():
    # In float32, |a|^2 + |b|^2 - 2ab of such a pair was .1875, where the true value is 3.6e-5.
    x = np.random.default_rng(0).standard_normal((20, 50)) + 1e4
    x[1] = x[0]
    x[1, 0] += 6e-3
    space = RowDistances(torch.tensor(x), "sqeuclidean", "x")
    assert space.condensed()[0] == pytest.approx((x[1, 0] - x[0, 0]) ** 2, rel=1e-6)


def test_equal_rows_are_at_distance_zero():
    x = np.vstack([X, X])
    squared = RowDistances(torch.tensor(x), "euclidean", "x").squared(slice(None))
    assert (squared.diagonal() == 0).all()
    assert (squared.diagonal(len(X)) == 0).all()


def test_rounding_keeps_ties_and_order():
    third = torch.tensor([0.1 + 0.2, 0.3, 0.30001, torch.inf, 0.0], dtype=torch.float64)
    rounded = round_to_ties(third)
    assert rounded[0] == rounded[1] < rounded[2] < rounded[3] == torch.inf
    assert rounded[4] == 0


def test_refusals():
    x = torch.tensor(X)
    x[3] = 0
    wanted = "wanted one of euclidean, sqeuclidean, cosine, correlation"
    assert refusal(RowDistances, x, "manhattan", "x") == f"distance='manhattan': {wanted}"
    assert refusal(RowDistances, x, "cosine", "y") == "y is zero in row 3: cosine distance is undefined there"
    x[5] = 0.1
    message = "x is constant in rows 3, 5: correlation distance is undefined there"
    assert refusal(RowDistances, x, "correlation", "x") == message
