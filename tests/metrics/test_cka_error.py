import numpy as np
import pytest

from foresight_cli.metrics import debiased_cka_standard_error, linear_cka
from tests.refusal import refusal


def test_g1(oracles, g1, kind):
    value = debiased_cka_standard_error(*map(kind, g1))
    assert value == pytest.approx(oracles["H_G1_rsa"]["jackknife_se_debiased_cka"], rel=1e-6)


@pytest.mark.parametrize(("n", "d"), [(6, 3), (25, 4), (25, 60)])
def test_equal_to_deleting_each_row(n, d):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, d)) + 100
    y = x[:, :2] + rng.standard_normal((n, 2))
    left_out = [linear_cka(np.delete(x, i, axis=0), np.delete(y, i, axis=0)) for i in range(n)]
    expected = np.sqrt((n - 1) / n * np.sum((left_out - np.mean(left_out)) ** 2))
    assert debiased_cka_standard_error(x, y) == pytest.approx(expected, rel=1e-9)


def test_refusals():
    x = np.random.default_rng(0).standard_normal((6, 3))
    name = "debiased_cka_standard_error"
    assert refusal(debiased_cka_standard_error, x[:4], x[:4]) == f"x has 4 rows: {name} wants at least 5"
    message = f"{name}: without one of its rows x or y has no structure left, so CKA is 0/0"
    lonely = np.zeros((6, 1))
    lonely[0] = 1
    assert refusal(debiased_cka_standard_error, x, lonely) == message
