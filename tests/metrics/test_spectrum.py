import numpy as np
import pytest
from sklearn.decomposition import PCA

from foresight_cli.metrics import effective_rank, participation_ratio, pca_dimension
from tests.refusal import refusal


def with_eigenvalues(eigenvalues):
    """Return centred rows [2 d, d] whose scatter matrix has these eigenvalues."""
    roots = np.diag(np.sqrt(np.array(eigenvalues) / 2))
    return np.vstack([roots, -roots])


def test_closed_forms(oracles, kind):
    k = oracles["K"]
    x = kind(with_eigenvalues(k["eigs"]) + 100)
    assert participation_ratio(x) == pytest.approx(64 / 22, rel=1e-5)
    assert effective_rank(x) == pytest.approx(2**1.75, rel=1e-5)
    assert [pca_dimension(x, variance=v) for v in (0.49, 0.51, 0.74, 0.8, 1.0)] == [1, 2, 2, 3, 4]


def test_digits(oracles, digits):
    k, x = oracles["K"], digits[0]
    assert participation_ratio(x) == pytest.approx(k["digits_PR"], rel=1e-8)
    assert effective_rank(x) == pytest.approx(k["digits_erank"], rel=1e-8)
    assert pca_dimension(x) == k["digits_pca95"]


@pytest.mark.parametrize("shape", [(50, 10), (20, 80)])
def test_equal_to_scikit_learn_and_invariant(shape):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape) * np.arange(1, shape[1] + 1)
    shares = PCA().fit(x).explained_variance_ratio_
    rotation = np.linalg.qr(rng.standard_normal((shape[1], shape[1])))[0]
    for data in (x, 3 * x @ rotation - 5):
        assert participation_ratio(data) == pytest.approx(1 / (shares**2).sum(), rel=1e-10)
        kept = shares[shares > 1e-20]
        assert effective_rank(data) == pytest.approx(np.exp(-(kept * np.log(kept)).sum()), rel=1e-10)
        assert pca_dimension(data, variance=0.9) == np.argmax(shares.cumsum() >= 0.9) + 1


def test_refusals():
    constant = np.full((5, 2), 0.1)
    for measure in (participation_ratio, effective_rank, pca_dimension):
        name = measure.__name__
        assert refusal(measure, constant) == (
            f"x is constant: all its 5 rows are equal, and {name} wants rows that vary"
        )
        assert refusal(measure, constant[:1]) == f"x has 1 rows: {name} wants at least 2"
    message = "wanted a share above 0, at most 1"
    assert refusal(pca_dimension, constant, variance=0) == f"variance=0: {message}"
    assert refusal(pca_dimension, constant, variance=1.1) == f"variance=1.1: {message}"
