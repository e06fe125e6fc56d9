import numpy as np
import pytest
import torch
from hypothesis import given, settings

from foresight_cli.metrics import linear_cka
from foresight_cli.metrics.streaming import LinearCKA
from tests.refusal import refusal


def both():
    return LinearCKA(debiased=None)


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_equal_to_in_memory_over_any_sharding(shardings, make_g1, offset):
    x, y = make_g1(n=120, d1=9, d2=12)
    # The two halves are far apart, so that workers have different means.
    x, y = x + offset + np.repeat([[0], [30]], 60, axis=0), 3 * y - offset
    expected = {"debiased": linear_cka(x, y), "biased": linear_cka(x, y, debiased=False)}
    whole = both()
    whole.update(x, y)

    @settings(max_examples=25, deadline=None)
    @given(shardings(120))
    def check(sharding):
        result = sharding.stream(both, x, y).compute()
        for name, value in expected.items():
            assert float(result[name]) == pytest.approx(value, rel=1e-10)
            assert float(result[name]) == pytest.approx(float(whole.compute()[name]), rel=1e-12)

    check()


@pytest.mark.parametrize("shape", [(30, 50, 40), (30, 50, 3), (200, 20, 30)])
def test_equal_to_in_memory_whatever_is_wide(make_g1, in_order, shape):
    n, d1, d2 = shape
    x, y = make_g1(n=n, d1=d1, d2=d2)
    result = in_order(n, 7).stream(both, x, y).compute()
    assert float(result["debiased"]) == pytest.approx(linear_cka(x, y), rel=1e-10)
    assert float(result["biased"]) == pytest.approx(linear_cka(x, y, debiased=False), rel=1e-10)


def test_published_numbers_in_shards(oracles, digits, iris):
    d, c = oracles["D_digits_top32_vs_bottom32"], oracles["C_iris_cols01_vs_23"]
    for rows, split, expected in ((digits[0], 32, d), (iris[0], 2, c)):
        parts = []
        for shard in np.array_split(rows, 7):
            parts.append(both())
            parts[-1].update(shard[:, :split], shard[:, split:])
        for part in parts[1:]:
            parts[0].merge_state(part)
        result = parts[0].compute()
        assert float(result["debiased"]) == pytest.approx(expected["cka_debiased"], rel=1e-8)
        assert float(result["biased"]) == pytest.approx(expected["cka_biased"], rel=1e-8)


def test_one_number_or_both(g1):
    x, y = g1
    for debiased in (True, False):
        metric = LinearCKA(debiased=debiased)
        metric.update(x, y)
        value = metric.compute()
        assert value.dtype == torch.float64
        assert value.item() == pytest.approx(linear_cka(x, y, debiased=debiased), rel=1e-12)
    same = LinearCKA()
    same.update(x, x)
    assert float(same.compute()) == pytest.approx(1, abs=1e-15)  # two routines compute the three products


def test_types_that_come_in(g1):
    x, y = (torch.tensor(values) for values in g1)
    for kind in (torch.float32, torch.bfloat16):
        metric = LinearCKA()
        for rows in torch.split(torch.arange(200), 64):
            metric.update(x[rows].to(kind), y[rows].to(kind).numpy() if kind == torch.float32 else y[rows].to(kind))
        assert float(metric.compute()) == pytest.approx(linear_cka(x.to(kind), y.to(kind)), rel=1e-12)
        assert float(metric.compute()) == pytest.approx(linear_cka(x, y), abs=1e-4 if kind == torch.float32 else 1e-3)


def test_constant_columns_change_nothing(g1):
    x, y = g1
    metric = LinearCKA()
    for rows in np.split(np.arange(200), [50, 51]):
        metric.update(np.hstack([x[rows], np.full((len(rows), 1), 0.1)]), y[rows])
    assert float(metric.compute()) == pytest.approx(linear_cka(x, y), rel=1e-12)


def test_refusals():
    x = np.random.default_rng(0).standard_normal((8, 3))
    metric = LinearCKA()
    assert refusal(metric.compute) == "LinearCKA has 0 rows so far: wanted at least 4 before compute()"
    metric.update(x[:3], x[:3])
    assert refusal(metric.compute) == "LinearCKA has 3 rows so far: wanted at least 4 before compute()"
    assert refusal(metric.update, x[:3], x[:2]) == (
        "x has 3 rows and y has 2 in the batch from row 3 on: LinearCKA wants the same samples in the same order"
    )
    assert refusal(metric.update, x[:3], x[:3, :2]) == (
        "y has 2 columns in the batch from row 3 on: LinearCKA wants 3, as in the rows before"
    )
    broken = x.copy()
    broken[[1, 6], 2] = np.nan
    assert refusal(metric.update, x, broken) == "y has NaN or Inf in rows 4, 9: LinearCKA wants finite numbers"
    constant = LinearCKA(debiased=False)
    constant.update(x[:5], np.full((5, 2), 0.1))
    constant.update(x[5:], np.full((3, 2), 0.1))
    assert refusal(constant.compute) == ("y is constant: all its 8 rows are equal, and LinearCKA wants rows that vary")
    simplex = LinearCKA()
    simplex.update(np.eye(8)[:3], x[:3])
    simplex.update(np.eye(8)[3:], x[3:])
    assert refusal(simplex.compute) == "x has rows that are all equally far apart: debiased CKA is 0/0 there"
