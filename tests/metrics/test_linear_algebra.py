import numpy as np
import pytest
import torch

from foresight_cli.metrics.linear_algebra import (
    gram_matrix,
    scatter_matrix,
    smaller_product,
    symmetric_eigen,
    symmetric_eigenvalues,
)


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((30, 70))


def test_products(x):
    np.testing.assert_allclose(gram_matrix(torch.tensor(x)), x @ x.T, atol=1e-12)
    np.testing.assert_allclose(scatter_matrix(torch.tensor(x)), x.T @ x, atol=1e-12)
    assert torch.equal(gram_matrix(torch.tensor(x)), gram_matrix(torch.tensor(x)).T)
    np.testing.assert_allclose(gram_matrix(torch.tensor(x)[:, ::2]), x[:, ::2] @ x[:, ::2].T, atol=1e-12)
    assert smaller_product(torch.tensor(x)).shape == smaller_product(torch.tensor(x.T)).shape == (30, 30)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_eigen(x, dtype):
    matrix = torch.tensor(x @ x.T, dtype=dtype)
    values, vectors = symmetric_eigen(matrix)
    assert values.dtype == vectors.dtype == dtype
    tolerance = 1e-10 if dtype == torch.float64 else 1e-3
    np.testing.assert_allclose(values, np.linalg.eigvalsh(x @ x.T), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose((vectors * values) @ vectors.T, matrix, atol=tolerance)
    np.testing.assert_allclose(symmetric_eigenvalues(matrix), values, rtol=tolerance, atol=tolerance)
