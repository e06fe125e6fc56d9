"""Tests against published values, each from a few lines of data."""

import numpy as np
import pytest
import torch
from scipy.special import gammainc

from foresight_cli.metrics import gram_cka, linear_cka, mle_dimension, neighborhood, rbf_cka, rsa
from foresight_cli.metrics.distances import RowDistances
from foresight_cli.metrics.rsa import correlate


def kornblith():
    """Return the data of the demo notebook of Kornblith et al. 2019."""
    rng = np.random.RandomState(1337)
    x = rng.randn(100, 10)
    return x, rng.randn(100, 10) + x


def squared_distances(x):
    return ((x[:, None] - x) ** 2).sum(axis=2)


def test_kornblith_linear():
    x, y = kornblith()
    assert linear_cka(x, y, debiased=False) == pytest.approx(0.55761, abs=5e-6)
    assert linear_cka(x, y) == pytest.approx(0.51346, abs=5e-6)


def test_kornblith_rbf():
    """Threshold 0.5 of the median over all n^2 squared distances, including the n zeros."""
    x, y = kornblith()
    grams = [np.exp(-s / (2 * 0.5**2 * np.median(s))) for s in map(squared_distances, (x, y))]
    assert gram_cka(*map(torch.tensor, grams), debiased=False) == pytest.approx(0.65483, abs=5e-6)


def test_kornblith_rbf_by_the_bandwidth_that_corresponds():
    """Without the zeros both medians are about 1 % larger, so a bandwidth 0.5 % smaller gives the same value."""
    x, y = kornblith()
    upper = np.triu_indices(100, 1)
    ratios = [np.median(s) / np.median(s[upper]) for s in map(squared_distances, (x, y))]
    assert rbf_cka(x, y, bandwidth=0.5 * np.mean(ratios) ** 0.5, debiased=False) == pytest.approx(0.65483, abs=2e-5)
    assert rbf_cka(x, y, bandwidth=0.5, debiased=False) != pytest.approx(0.65483, abs=2e-4)


# The documentation of scikit-bio's ``mantel``: two matrices of three objects, (0, 1), (0, 2) and (1, 2).
SCIKIT_BIO = torch.tensor([1.0, 2, 3], dtype=torch.float64), torch.tensor([2.0, 7, 6], dtype=torch.float64)


@pytest.mark.parametrize(("correlation", "printed"), [("pearson", 0.7559289), ("spearman", 0.5)])
def test_scikit_bio_mantel(correlation, printed):
    assert correlate(*SCIKIT_BIO, correlation) == pytest.approx(printed, abs=5e-8)
    line = [[0.0], [-1.0], [2.0]]
    across = (7**2 - 6**2 + 2**2) / 4
    triangle = [[0.0, 0], [2, 0], [across, np.sqrt(7**2 - across**2)]]
    for points, distances in zip((line, triangle), SCIKIT_BIO, strict=True):
        rows = RowDistances(torch.tensor(points, dtype=torch.float64), "euclidean", "x")
        assert rows.condensed().tolist() == pytest.approx(distances.tolist(), rel=1e-12)
    assert rsa(line, triangle, correlation=correlation) == pytest.approx(printed, abs=5e-8)


def test_scikit_dimension_ball():
    """``hyperBall(n=30, d=5, random_state=0)`` in 10 dimensions: a normal draw mapped to the uniform ball."""
    normal = np.random.RandomState(0).normal(size=(30, 5))
    assert normal[0, 0] == pytest.approx(1.764052345967664, rel=1e-12)
    squares = (normal**2).sum(axis=1)
    ball = normal * (gammainc(5 / 2, squares / 2) ** (1 / 5) / np.sqrt(squares))[:, None]
    assert np.linalg.norm(ball, axis=1).max() < 1
    assert mle_dimension(np.hstack([ball, np.zeros((30, 5))])) == pytest.approx(3.3411618, abs=5e-8)


def test_identities_of_the_study():
    """Its 360 test images make 64,620 pairs; recall@10 of .258222 among 450 is 11.594178 times chance."""
    rng = np.random.default_rng(0)
    pairs = RowDistances(torch.tensor(rng.standard_normal((360, 4))), "euclidean", "x").condensed()
    assert len(pairs) == 64_620
    chance = neighborhood(rng.standard_normal((450, 3)), rng.standard_normal((450, 3)), k=10).expected
    assert chance == 10 / 449
    hits = 1162  # of 450 x 10: the only count that rounds to the published recall
    assert round(hits / 4500, 6) == 0.258222
    assert hits / 4500 / chance == pytest.approx(11.594178, abs=5e-7)
