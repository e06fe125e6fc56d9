import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeCV

from foresight_cli.errors import ForesightError
from foresight_cli.metrics import fit_ridge
from foresight_cli.metrics.ridge.ridge import PENALTIES
from foresight_cli.training.closed_form import rank_path, ridge_map
from foresight_cli.training.pairs import Pairs
from tests.training.stored import drawn, in_memory, on_disk

TINY = 12 * (3 * 12 + 2 * 7) * 8 / 1e9 * 1.01
"""Gigabytes that are enough for the products of 12 columns with 12 and 7, but not for 300 rows."""


def by_scikit_learn(x, y):
    x, y = x.double().numpy(), y.double().numpy()
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    unit = (z**2).sum() / len(z)
    fitted = RidgeCV(alphas=[unit * multiple for multiple in PENALTIES], alpha_per_target=False).fit(z, y)
    return fitted, lambda rows: fitted.predict((rows.double().numpy() - x.mean(axis=0)) / x.std(axis=0))


@pytest.mark.parametrize(("noise", "seed"), [(0.1, 0), (3.0, 1), (30.0, 2), (1000.0, 3)])
def test_streamed_is_ridge_with_the_penalty_of_least_leave_one_out_error(tmp_path, monkeypatch, noise, seed):
    monkeypatch.setattr("foresight_cli.training.pairs.BLOCK_BYTES", 8 * 19 * 17)
    x, y = drawn(noise=noise, seed=seed)
    streamed = ridge_map(on_disk(tmp_path, x, y), memory_gb=TINY)
    reference, predict = by_scikit_learn(x, y)
    assert streamed.penalty == pytest.approx(reference.alpha_, rel=1e-9)
    np.testing.assert_allclose(streamed.predict(x.double()), predict(x), rtol=1e-8, atol=1e-8)
    fitted = fit_ridge(x, y)
    np.testing.assert_allclose(streamed.weight, fitted.weight, rtol=1e-8, atol=1e-10)
    assert torch.equal(streamed.reach, fitted.reach) or torch.allclose(streamed.reach, fitted.reach, rtol=1e-12)


def test_fewer_rows_than_columns():
    x, y = drawn(n=40, d1=90, d2=7)
    streamed, fitted = ridge_map(in_memory(x, y), memory_gb=1), fit_ridge(x, y)
    rows = drawn(n=10, d1=90, seed=5)[0].double()
    np.testing.assert_allclose(streamed.predict(rows), fitted.predict(rows), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(streamed.weight, fitted.weight, rtol=1e-7, atol=1e-9)
    axes = torch.randn(7, 2, dtype=torch.float64)
    np.testing.assert_allclose(streamed.narrowed(axes), fitted.weight @ axes, rtol=1e-7, atol=1e-9)


def test_constant_columns_streamed(tmp_path):
    x, y = drawn()
    x[:, 3] = 1.5
    streamed = ridge_map(on_disk(tmp_path, x, y), memory_gb=TINY)
    assert not streamed.weight[3].any()
    np.testing.assert_allclose(streamed.weight, fit_ridge(x, y).weight, rtol=1e-8, atol=1e-10)


def test_the_error_about_memory_has_settings_that_fit(tmp_path):
    x, y = drawn(n=30, d1=2000, d2=100)
    with pytest.raises(ForesightError) as caught:
        ridge_map(on_disk(tmp_path, x, y), memory_gb=1e-4)
    assert str(caught.value) == (
        "a closed form of 30 rows from 2,000 to 100 values takes 0.001 GB: allow it with memory_gb=1, or pool the "
        "source with source.pooling=channel_mean"
    )


@pytest.mark.parametrize("d1", [12, 400])
def test_ranks_by_hand(d1):
    """A map of lower rank projects on the first right singular vectors of the fitted rows, for n > d and n < d."""
    x, y = drawn(n=200, d1=d1)
    train, held = in_memory(x[:150], y[:150]), in_memory(x[150:], y[150:])
    ridge = ridge_map(train, memory_gb=1)
    path = rank_path(ridge, train, held)
    assert path.ranks == [1, 2, 4, 7]
    fitted = (ridge.predict(x[:150].double()) - ridge.y_mean).numpy()
    right = np.linalg.svd(fitted, full_matrices=False)[2]
    truth = y[150:].double().numpy() - ridge.y_mean.numpy()
    shift = (ridge.predict(x[150:].double()) - ridge.y_mean).numpy()
    for i, rank in enumerate(path.ranks):
        projected = shift @ right[:rank].T @ right[:rank]
        np.testing.assert_allclose(path.residual[i], ((truth - projected) ** 2).sum(axis=1), rtol=1e-7)
    np.testing.assert_allclose(path.total, (truth**2).sum(axis=1), rtol=1e-12)


def test_the_smallest_rank_that_is_as_good():
    """Two directions carry all the signal: a third one adds less than its standard error."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(600, 20, generator=generator)
    y = x[:, :2] @ torch.randn(2, 16, generator=generator) + torch.randn(600, 16, generator=generator)
    pairs = in_memory(x, y)
    train, held = pairs.part(torch.arange(400)), pairs.part(torch.arange(400, 600))
    path = rank_path(ridge_map(train, memory_gb=1), train, held)
    assert path.smallest(16, np.arange(200)) == 2
    assert path.smallest(1, np.arange(200)) == 1


def test_pairs_on_the_disk_that_fit_are_read_at_once(tmp_path):
    x, y = drawn()
    stored, held = ridge_map(on_disk(tmp_path, x, y), memory_gb=1), ridge_map(in_memory(x, y), memory_gb=1)
    assert torch.equal(stored.weight, held.weight)
    assert isinstance(on_disk(tmp_path, x, y), Pairs)
