import numpy as np
import pytest
import torch

from foresight_cli.metrics.principal import principal_coordinates


@pytest.mark.parametrize("shape", [(40, 6), (8, 30)])
def test_keeps_inner_products_and_orders_singular_values(shape):
    x = np.random.default_rng(0).standard_normal(shape)
    centred = x - x.mean(axis=0)
    coordinates = principal_coordinates(torch.tensor(centred)).numpy()
    assert coordinates.shape == (shape[0], min(shape))
    np.testing.assert_allclose(coordinates @ coordinates.T, centred @ centred.T, atol=1e-11)
    lengths = np.linalg.svd(centred, compute_uv=False)
    np.testing.assert_allclose(np.linalg.norm(coordinates, axis=0), lengths, atol=1e-6)
