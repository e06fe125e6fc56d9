import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foresight_cli.metrics import cka as module
from foresight_cli.metrics import gram_cka, linear_cka, rbf_cka
from tests.refusal import refusal


def both(x, y):
    return linear_cka(x, y, debiased=False), linear_cka(x, y)


def test_hand_cases(oracles, kind):
    a, b = oracles["A"], oracles["B"]
    assert linear_cka(kind(a["X"]), kind(a["Y"]), debiased=False) == pytest.approx(10 / math.sqrt(136), rel=1e-12)
    assert linear_cka(kind(a["X"]), kind(a["Y"])) == pytest.approx(
        a["hsic_u_xy"] / math.sqrt(a["hsic_u_xx"] * a["hsic_u_yy"]), rel=1e-9
    )
    assert both(kind(b["X"]), kind(b["Y"])) == pytest.approx((b["cka_biased"], b["cka_debiased"]), rel=1e-9)


def test_iris(oracles, iris):
    c, x = oracles["C_iris_cols01_vs_23"], iris[0]
    assert both(x[:, :2], x[:, 2:]) == pytest.approx((c["cka_biased"], c["cka_debiased"]), rel=1e-8)
    one_hot = np.eye(3)[iris[1]]
    assert linear_cka(x[:, :2], one_hot) == pytest.approx(c["cka_xc_label"], rel=1e-8)
    assert linear_cka(x[:, 2:], one_hot) == pytest.approx(c["cka_yc_label"], rel=1e-8)


def test_digits(oracles, digits):
    d, x = oracles["D_digits_top32_vs_bottom32"], digits[0]
    assert both(x[:, :32], x[:, 32:]) == pytest.approx((d["cka_biased"], d["cka_debiased"]), rel=1e-8)
    x, y = x[:, :32], x[:, 32:]
    assert rbf_cka(x, y) == pytest.approx(d["rbf_debiased"], rel=1e-8)
    assert rbf_cka(x, y, debiased=False) == pytest.approx(d["rbf_cka_sigma2_eq_offdiag_median_sq"], rel=1e-8)
    assert rbf_cka(x, y, bandwidth=0.5, debiased=False) == pytest.approx(d["rbf_half"], rel=1e-8)
    assert rbf_cka(x, y, bandwidth=10, debiased=False) == pytest.approx(d["rbf_x10"], rel=1e-8)


def test_g1(oracles, g1, kind):
    h = oracles["H_G1_rsa"]
    assert both(*map(kind, g1)) == pytest.approx((h["cka_biased"], h["cka_debiased"]), rel=1e-6)


def test_published_demo():
    """Kornblith's notebook: its RBF includes the diagonal in the median, so the test builds the kernel itself."""
    rng = np.random.RandomState(1337)
    x = rng.randn(100, 10)
    y = rng.randn(100, 10) + x
    assert both(x, y) == pytest.approx((0.55761, 0.51346), abs=5e-6)
    grams = []
    for values in (x, y):
        squared = ((values[:, None] - values) ** 2).sum(axis=2)
        grams.append(torch.tensor(np.exp(-squared / (2 * np.median(squared) * 0.5**2))))
    assert gram_cka(*grams, debiased=False) == pytest.approx(0.65483, abs=5e-6)


def test_gaussian_population(oracles):
    """Means over 200 samples of 50 rows, against the population value and the known bias."""
    rng = np.random.default_rng(5)
    a1, a2 = rng.standard_normal((3, 6)), rng.standard_normal((3, 8))
    values = []
    for _ in range(200):
        z = rng.standard_normal((50, 3))
        values.append(both(z @ a1 + rng.standard_normal((50, 6)), z @ a2 + rng.standard_normal((50, 8))))
    biased, debiased = np.mean(values, axis=0)
    n = oracles["N_gaussian"]
    assert biased == pytest.approx(n["biased_mean_n50"], abs=4 * n["mc_se"])
    assert debiased == pytest.approx(n["debiased_mean_n50"], abs=4 * n["mc_se"])


@pytest.mark.parametrize(("d2", "key"), [(8192, "n450_3584_8192"), (128, "n450_3584_128")])
def test_independent_wide_data(oracles, d2, key):
    rng = np.random.default_rng(0)
    biased, debiased = both(rng.standard_normal((450, 3584)), rng.standard_normal((450, d2)))
    assert biased == pytest.approx(oracles["P_null_closed_form"][key], abs=0.005)
    assert abs(debiased) < 0.02


@settings(max_examples=25, deadline=None)
@given(st.integers(4, 30), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_invariances(n, d, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, d)), rng.standard_normal((n, 5))
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    order = rng.permutation(n)
    for measure in (lambda a, b: linear_cka(a, b, debiased=False), lambda a, b: rbf_cka(a, b, debiased=False)):
        value = measure(x, y)
        assert measure(x @ rotation * 3 - 7, y) == pytest.approx(value, abs=1e-10)
        assert measure(x[order], y[order]) == pytest.approx(value, abs=1e-10)
        assert measure(y, x) == pytest.approx(value, abs=1e-12)
        assert measure(x, x) == pytest.approx(1, abs=1e-12)


def test_debiased_invariances(g1):
    x, y = g1
    value = linear_cka(x, y)
    assert linear_cka(x * 1e-3 + 1e3, y) == pytest.approx(value, abs=1e-9)
    assert linear_cka(y, x) == pytest.approx(value, abs=1e-14)
    assert linear_cka(x, x) == pytest.approx(1, abs=1e-14)


def test_row_and_column_tiles_agree(g1, monkeypatch):
    a, b = (torch.tensor(v - v.mean(axis=0)) for v in g1)
    expected = [float((u.T @ v).square().sum()) for u, v in ((a, b), (a, a), (b, b))]
    monkeypatch.setattr(module, "TILE_NUMBERS", 1500)
    assert module._products_by_rows(a, b) == pytest.approx(expected, rel=1e-12)
    monkeypatch.setattr(module, "TILE_NUMBERS", 100)
    assert module._products_by_columns(a, b) == pytest.approx(expected, rel=1e-12)


def test_rbf_tends_to_linear(g1):
    x, y = g1
    assert rbf_cka(x, y, bandwidth=100) == pytest.approx(linear_cka(x, y), abs=1e-4)


def test_float32_with_a_large_mean(g1):
    x, y = g1
    shifted = torch.tensor(x + 1000, dtype=torch.float32)
    assert linear_cka(shifted, y) == pytest.approx(linear_cka(x, y), abs=1e-4)


def test_refusals():
    x, constant = np.random.default_rng(0).standard_normal((5, 3)), np.full((5, 2), 0.1)
    assert refusal(linear_cka, x[:3], x[:3]) == "x has 3 rows: linear_cka wants at least 4"
    assert refusal(rbf_cka, x[:3], x[:3]) == "x has 3 rows: rbf_cka wants at least 4"
    assert refusal(linear_cka, x, constant) == (
        "y is constant: all its 5 rows are equal, and linear_cka wants rows that vary"
    )
    assert refusal(rbf_cka, constant, x) == (
        "x is constant: all its 5 rows are equal, and rbf_cka wants rows that vary"
    )
    assert refusal(rbf_cka, x, x, bandwidth=0) == "bandwidth=0: wanted a number above 0"
    assert refusal(linear_cka, np.eye(5), x) == ("x has rows that are all equally far apart: debiased CKA is 0/0 there")
    twins = np.zeros((5, 2))
    twins[0] = 1
    assert refusal(rbf_cka, x, twins) == (
        "y has equal rows in more than half of its pairs: the RBF bandwidth would be 0"
    )
