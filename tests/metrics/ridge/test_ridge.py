import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeCV

from foresight_cli.metrics import fit_ridge
from foresight_cli.metrics.ridge.ridge import PENALTIES, RidgeFactor
from tests.metrics.ridge.left_out import left_out_error
from tests.refusal import refusal


@pytest.mark.parametrize(("n", "d1", "d2"), [(60, 8, 3), (60, 8, 40), (30, 80, 3), (30, 80, 50)])
def test_equal_to_scikit_learn(n, d1, d2, kind):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, d1)) * np.arange(1, d1 + 1) + 5
    y = x[:, :2] @ rng.standard_normal((2, d2)) + 5 * rng.standard_normal((n, d2)) - 3
    centred = x - x.mean(axis=0)
    alphas = np.array(PENALTIES) * (centred**2).sum() / n
    reference = RidgeCV(alphas).fit(x, y)
    ridge = fit_ridge(kind(x), kind(y), standardize=False)
    assert ridge.penalty == pytest.approx(reference.alpha_, rel=1e-5)
    np.testing.assert_allclose(ridge.weight.numpy(), reference.coef_.T, atol=1e-6)
    np.testing.assert_allclose(ridge.predict(kind(x[:5])).numpy(), reference.predict(x[:5]), rtol=1e-4, atol=1e-4)


def test_standardising_is_scaling_the_columns():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((50, 4)), rng.standard_normal((50, 2))
    scaled = x * [1, 10, 1e-3, 1e6] + [0, 5, 0, 1e7]
    expected = fit_ridge((x - x.mean(axis=0)) / x.std(axis=0), y, standardize=False)
    ridge = fit_ridge(scaled, y)
    np.testing.assert_allclose(ridge.weight.numpy() * scaled.std(axis=0)[:, None], expected.weight.numpy(), rtol=1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_the_penalty_has_the_smallest_leave_one_out_error(seed):
    rng = np.random.default_rng(seed)
    n, d1, d2 = rng.integers(8, 20), rng.integers(2, 30), rng.integers(1, 25)
    x = rng.standard_normal((n, d1)) * np.exp(2 * rng.standard_normal((n, 1)))  # uneven leverages
    y = x @ rng.standard_normal((d1, d2)) * rng.choice([0, 1]) + 3 * rng.standard_normal((n, d2))
    factor = RidgeFactor(torch.tensor(x), standardize=False)
    penalties = [multiple * factor.mean_eigenvalue for multiple in PENALTIES]
    errors = [left_out_error(x, y, penalty) for penalty in penalties]
    targets = torch.tensor(y - y.mean(axis=0))
    chosen, _ = factor.best_penalty(targets, PENALTIES)
    assert errors[penalties.index(chosen)] == pytest.approx(min(errors), rel=1e-9)


def test_r2_of_the_training_rows():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((15, 4)), rng.standard_normal((15, 9))
    factor = RidgeFactor(torch.tensor(x), standardize=False)
    targets = torch.tensor(y - y.mean(axis=0))
    penalty, r2 = factor.best_penalty(targets, [0.3])
    left = targets - factor.predict(factor.project(torch.tensor(x)), targets, penalty)
    assert r2 == pytest.approx(1 - float(left.square().sum() / targets.square().sum()), rel=1e-12)


@pytest.mark.parametrize("d", [3, 200])
def test_constant_columns_get_no_weight(d):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, d)), rng.standard_normal((40, 2))
    padded = np.hstack([np.full((40, 1), 0.1), x])
    ridge = fit_ridge(padded, y)
    assert (ridge.weight[0] == 0).all()
    np.testing.assert_allclose(ridge.weight[1:].numpy(), fit_ridge(x, y).weight.numpy(), rtol=1e-8, atol=1e-12)
    away = padded[:3].copy()
    away[:, 0] = 1e6
    assert torch.equal(ridge.predict(away), ridge.predict(padded[:3]))


def test_constant_x_predicts_the_mean():
    y = np.arange(10.0).reshape(5, 2)
    ridge = fit_ridge(np.full((5, 3), 0.1), y)
    assert ridge.predict(np.ones((1, 3))).tolist() == [[4.0, 5.0]]


def test_ordinary_least_squares_in_theory(oracles):
    """The expected test error is (n+1)(n-2)/(n(n-d-2)) for Gaussian x and a vanishing penalty."""
    case = oracles["J3_ols_expected_mse"]
    rng, errors = np.random.default_rng(0), []
    for _ in range(300):
        x, beta = rng.standard_normal((case["n"], case["d"])), rng.standard_normal((case["d"], 1))
        ridge = fit_ridge(x, x @ beta + rng.standard_normal((case["n"], 1)), penalties=[1e-12])
        new = rng.standard_normal((100, case["d"]))
        truth = new @ beta + rng.standard_normal((100, 1))
        errors.append(np.square(truth - ridge.predict(new).numpy()).mean())
    assert np.mean(errors) == pytest.approx(case["closed_form"], abs=4 * np.std(errors) / np.sqrt(300))


def test_refusals():
    x = np.random.default_rng(0).standard_normal((5, 3))
    assert refusal(fit_ridge, x, x, penalties=[1, 0]) == "penalties=[1.0, 0.0]: wanted one or more numbers above 0"
    assert refusal(fit_ridge, x, x, penalties=[]) == "penalties=[]: wanted one or more numbers above 0"
    assert refusal(fit_ridge(x, x).predict, x[:, :2]) == "x has 2 columns: this ridge was fitted on 3"
    assert refusal(fit_ridge, x[:2], x[:2]) == "x has 2 rows: fit_ridge wants at least 3"
