import numpy as np
import pytest
import torch

from foresight_cli.metrics import linear_probe
from foresight_cli.metrics.ridge.leave_one_out import LeaveOneOut
from foresight_cli.metrics.ridge.ridge import PENALTIES, RidgeFactor
from tests.metrics.ridge.left_out import left_out_error


def problem(seed, massive):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((60, 150))
    x[:, 0] *= massive
    y = x @ rng.standard_normal((150, 40)) / 10 + 3.0 ** rng.integers(-4, 4) * rng.standard_normal((60, 40))
    return x, y


@pytest.mark.parametrize("massive", [1, 1e2, 1e4])
@pytest.mark.parametrize("seed", range(8))
def test_the_best_penalty_beside_massive_columns(seed, massive):
    x, y = problem(seed, massive)
    factor = RidgeFactor(torch.tensor(x), standardize=False)
    penalties = [multiple * factor.mean_eigenvalue for multiple in PENALTIES]
    chosen, _ = factor.best_penalty(torch.tensor(y - y.mean(axis=0)), PENALTIES)
    errors = [left_out_error(x, y, penalty) for penalty in penalties]
    assert errors[penalties.index(chosen)] <= min(errors) * (1 + 1e-6)


def test_a_massive_common_factor_hides_nothing():
    """Single precision would lose every direction but the massive one: R2 was 0 instead of 0.7."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((700, 800)), rng.standard_normal((700, 30))
    common = rng.standard_normal((700, 5))
    x = 0.3 * x + common @ rng.standard_normal((5, 800)) + 60 * rng.standard_normal((700, 1))
    y = common @ rng.standard_normal((5, 30)) + y
    assert linear_probe(x, y, standardize=False).r2 > 0.6


def test_columns_or_rows_give_the_same_choice():
    x, y = problem(0, 1)
    x, targets = torch.tensor(x - x.mean(axis=0)), torch.tensor(y - y.mean(axis=0))
    penalties = [10.0, 100.0, 1000.0]
    by_rows = LeaveOneOut(x @ x.T, None).best(targets, penalties)
    by_columns = LeaveOneOut(x.T @ x, x).best(targets, penalties)
    assert by_rows[0] == by_columns[0]
    assert by_rows[1] == pytest.approx(by_columns[1], rel=1e-9)
