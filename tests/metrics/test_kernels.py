import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist, squareform

from foresight_cli.metrics.kernels import double_centre, median, rbf_gram
from foresight_cli.metrics.space import Space


def test_median_takes_the_mean_of_two_middles():
    for m in (1, 4, 7, 10):
        values = torch.tensor(np.random.default_rng(m).standard_normal(m))
        assert median(values) == np.median(values.numpy())


@pytest.mark.parametrize("bandwidth", [0.5, 2.0])
def test_rbf_gram_follows_its_definition(bandwidth):
    x = np.random.default_rng(0).standard_normal((21, 4)) + 100
    squared = pdist(x, "sqeuclidean")
    expected = np.exp(-squareform(squared) / (2 * bandwidth**2 * np.median(squared)))
    np.testing.assert_allclose(rbf_gram(Space(x), bandwidth, "x").numpy(), expected, rtol=1e-10)


def test_duplicates_have_similarity_one():
    x = torch.tensor(np.random.default_rng(0).standard_normal((20, 4))).repeat(2, 1)
    gram = rbf_gram(Space(x), 1.0, "x")
    assert (gram.diagonal() == 1).all()
    assert (gram.diagonal(20) == 1).all()


def test_double_centring():
    x = np.random.default_rng(0).standard_normal((9, 4))
    centred = x - x.mean(axis=0)
    np.testing.assert_allclose(double_centre(torch.tensor(x @ x.T)).numpy(), centred @ centred.T, atol=1e-13)
