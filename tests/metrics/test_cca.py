import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.cross_decomposition import CCA

from foresight_cli.metrics import cca, pwcca, svcca
from tests.refusal import refusal

FEW = {"minimum_rows_per_dimension": 0}


def test_g1(oracles, g1, kind):
    i = oracles["I_G1_cca"]
    x, y = map(kind, g1)
    result = cca(x, y, **FEW)
    assert (result.mean, result.first, result.last, result.mean_squared) == pytest.approx(
        (i["mean_cca"], i["first"], i["last"], i["yanai_mean_sq"]), rel=1e-5
    )
    assert (result.k1, result.k2, result.n, len(result.correlations)) == (20, 30, 200, 20)
    assert result.expected_mean_squared == 30 / 199
    cut = svcca(x, y, **FEW)
    assert [cut.k1, cut.k2] == i["svcca_k"]
    assert cut.mean == pytest.approx(i["svcca_var99"], rel=1e-5)
    weighted = pwcca(x, y, **FEW)
    assert (weighted.x, weighted.y) == pytest.approx((i["pwcca_x"], i["pwcca_y"]), rel=1e-5)


def test_correlations_are_cosines_of_the_angles_between_the_column_spaces():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((120, 2))
    x = np.hstack([z, rng.standard_normal((120, 2))]) + 5
    y = np.hstack([z + rng.standard_normal((120, 2)), rng.standard_normal((120, 1))])
    angles = subspace_angles(x - x.mean(axis=0), y - y.mean(axis=0))
    assert cca(x, y).correlations == pytest.approx(np.sort(np.cos(angles))[::-1], abs=1e-12)
    a, b = CCA(n_components=1, scale=False, max_iter=5000, tol=1e-12).fit_transform(x, y)
    assert cca(x, y).first == pytest.approx(np.corrcoef(a[:, 0], b[:, 0])[0, 1], rel=1e-6)


def test_projection_weights_from_the_definition():
    """The reference whitens by the inverse square root of the covariance, as in the paper."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((90, 3)) * [3, 1, 0.3]
    y = x @ rng.standard_normal((3, 5)) + 2 * rng.standard_normal((90, 5))
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)

    def white(values):
        eigenvalues, vectors = np.linalg.eigh(values.T @ values)
        return values @ vectors / np.sqrt(eigenvalues) @ vectors.T

    left, rho, right = np.linalg.svd(white(x).T @ white(y), full_matrices=False)
    for values, variates, got in (
        (x, white(x) @ left, pwcca(x, y).x),
        (y, white(y) @ right.T, pwcca(x, y).y),
    ):
        weights = np.abs(variates.T @ values).sum(axis=1)
        assert got == pytest.approx(weights @ rho / weights.sum(), rel=1e-10)
    assert (pwcca(y, x).x, pwcca(y, x).y) == pytest.approx((pwcca(x, y).y, pwcca(x, y).x), rel=1e-10)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_only_the_numerical_rank_counts(dtype):
    """Five columns repeat others, far from the origin: rounding must not add directions."""
    rng = np.random.default_rng(0)
    base = torch.tensor(rng.standard_normal((400, 4)), dtype=dtype)
    x = torch.hstack([base, base, base[:, :1] * 2]) + 8
    x = torch.hstack([x, torch.ones(400, 2, dtype=dtype)])
    y = torch.tensor(rng.standard_normal((400, 6)), dtype=dtype)
    result = cca(x, y)
    assert (result.k1, result.k2) == (4, 6)
    assert result.mean == pytest.approx(cca(x[:, :4], y).mean, abs=10 * torch.finfo(dtype).eps)


def test_unrelated_spaces_score_what_is_expected():
    rng = np.random.default_rng(0)
    results = [cca(rng.standard_normal((150, 5)), rng.standard_normal((150, 9))) for _ in range(60)]
    squared = [result.mean_squared for result in results]
    assert np.mean(squared) == pytest.approx(results[0].expected_mean_squared, abs=4 * np.std(squared) / np.sqrt(60))


def test_too_few_rows_saturate():
    rng = np.random.default_rng(0)
    result = cca(rng.standard_normal((20, 11)), rng.standard_normal((20, 9)), **FEW)
    assert result.correlations[0] == pytest.approx(1, abs=1e-12)
    wide = cca(rng.standard_normal((20, 50)), rng.standard_normal((20, 40)), **FEW)
    assert (wide.k1, wide.k2) == (19, 19)
    assert wide.correlations == pytest.approx([1.0] * 19, abs=1e-12)


def test_svcca_keeps_the_share_of_variance():
    x = np.random.default_rng(0).standard_normal((300, 6)) * [9, 7, 5, 3, 1, 0.1]
    shares = np.cumsum(np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2)
    for variance in (0.5, 0.9, 0.99):
        assert svcca(x, x, variance=variance).k1 == np.argmax(shares / shares[-1] >= variance) + 1
    assert svcca(x, -x, variance=1).correlations == pytest.approx(cca(x, x).correlations, rel=1e-12)


def test_refusals(g1):
    x, y = g1
    wanted = "wanted at least 500 rows, or fewer dimensions by svcca"
    assert refusal(cca, x, y) == f"cca has 200 rows for 20 + 30 dimensions: {wanted}"
    assert refusal(pwcca, x, y) == f"pwcca has 200 rows for 20 + 30 dimensions: {wanted}"
    assert refusal(svcca, x, y) == (
        "svcca has 200 rows for 18 + 27 dimensions: wanted at least 450 rows, "
        "or fewer dimensions by a variance below 0.99"
    )
    message = "wanted a number from 0"
    assert refusal(cca, x, y, minimum_rows_per_dimension=-1) == f"minimum_rows_per_dimension=-1: {message}"
    assert refusal(cca, x, y, minimum_rows_per_dimension=np.nan) == f"minimum_rows_per_dimension=nan: {message}"
    message = "wanted a share above 0, at most 1"
    assert refusal(svcca, x, y, variance=0) == f"variance=0: {message}"
    assert refusal(svcca, x, y, variance=1.5) == f"variance=1.5: {message}"
    assert refusal(cca, x[:, :2], np.ones((200, 2))) == (
        "y is constant: all its 200 rows are equal, and cca wants rows that vary"
    )
    assert refusal(pwcca, x[:1], y[:1]) == "x has 1 rows: pwcca wants at least 2"
