import numpy as np
import pytest
import torch

from foresight_cli.metrics.permuted_products import DOUBLE_ROWS, ROUNDING, permuted_overlaps, permuted_products


def symmetric(rng, n):
    half = rng.standard_normal((n, n))
    return (half + half.T) / np.linalg.norm(half + half.T)


@pytest.mark.parametrize("n", [2, 5, 40, DOUBLE_ROWS, DOUBLE_ROWS + 3])
def test_every_cell_of_every_permutation(n):
    rng = np.random.default_rng(n)
    fixed, moved = ([symmetric(rng, n) for _ in range(count)] for count in (3, 2))
    orders = [rng.permutation(n) for _ in range(11)]
    result = permuted_products([torch.tensor(m) for m in fixed], [torch.tensor(m) for m in moved], iter(orders))
    expected = [[[(a * b[order][:, order]).sum() for b in moved] for a in fixed] for order in orders]
    np.testing.assert_allclose(result, expected, atol=1e-12 if n <= DOUBLE_ROWS else ROUNDING)


def test_neighbours_move_with_their_rows():
    rng = np.random.default_rng(0)
    n, k = 30, 4
    lists = [np.array([rng.choice(np.delete(np.arange(n), i), k, replace=False) for i in range(n)]) for _ in range(5)]
    fixed, moved = lists[:3], lists[3:]
    orders = [np.arange(n), *(rng.permutation(n) for _ in range(6))]
    result = permuted_overlaps([torch.tensor(m) for m in fixed], [torch.tensor(m) for m in moved], orders)
    for order, cells in zip(orders, result.numpy(), strict=True):
        place = np.argsort(order)
        expected = [[sum(len(set(a[i]) & set(place[b[order[i]]])) for i in range(n)) for b in moved] for a in fixed]
        assert cells.tolist() == expected
