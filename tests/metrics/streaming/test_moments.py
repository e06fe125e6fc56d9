import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foresight_cli.metrics.streaming import Moments
from tests.refusal import refusal


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_equal_to_numpy_over_any_sharding(shardings, offset):
    x = np.random.default_rng(0).standard_normal((90, 6)) * np.arange(1, 7) + offset

    @settings(max_examples=20, deadline=None)
    @given(shardings(90))
    def check(sharding):
        n, mean, variance, covariance = sharding.stream(Moments, x).compute()
        assert n == 90
        np.testing.assert_allclose(mean, x.mean(axis=0), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(variance, x.var(axis=0, ddof=1), rtol=1e-11)
        np.testing.assert_allclose(covariance, np.cov(x.T), atol=1e-11)

    check()


@settings(max_examples=20, deadline=None)
@given(st.floats(-1e6, 1e6), st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_a_constant_column_has_no_variance_at_all(value, sizes):
    whole = Moments()
    for size in sizes:
        part = Moments()
        part.update(np.column_stack([np.full(size, value), np.arange(size)]))
        part.update(np.array([[value, 0.5]]))
        whole.merge_state(part)
    n, mean, variance, covariance = whole.compute()
    assert n == sum(sizes) + len(sizes)
    assert mean[0] == value
    assert variance[0] == covariance[0, 1] == 0


def test_merging_two_rows_far_apart_is_exact():
    """Two parts with means 0 and 2^40, each with variance 1/4: the sums are powers of two."""
    first, second = Moments(), Moments()
    first.update(np.array([[-0.5], [0.5]]))
    second.update(np.array([[2.0**40 - 0.5], [2.0**40 + 0.5]]))
    first.merge_state(second)
    assert first.compute().mean.item() == 2.0**39
    assert first.compute().variance.item() == pytest.approx((2.0**80 + 1) / 3, rel=1e-15)


def test_types_that_come_in():
    x = np.random.default_rng(0).standard_normal((40, 3))
    single, half = torch.tensor(x, dtype=torch.float32), torch.tensor(x, dtype=torch.bfloat16)
    for rows in (single, half):
        moments = Moments()
        moments.update(rows[:7])
        moments.update(rows[7:])
        expected = np.cov(rows.double().numpy().T)
        np.testing.assert_allclose(moments.compute().covariance, expected, atol=1e-14)


def test_refusals():
    moments = Moments()
    assert refusal(moments.compute) == "Moments has 0 rows so far: wanted at least 2 before compute()"
    moments.update(np.ones((1, 3)))
    assert refusal(moments.compute) == "Moments has 1 rows so far: wanted at least 2 before compute()"
    assert refusal(moments.update, np.ones(3)) == "x has shape [3]: Moments wants [n, d], one row a sample"
    assert refusal(moments.update, np.ones((2, 4))) == (
        "x has 4 columns in the batch from row 1 on: Moments wants 3, as in the rows before"
    )
    assert refusal(moments.update, np.array([[1, 2, 3], [1, np.inf, 3]])) == (
        "x has NaN or Inf in row 2: Moments wants finite numbers"
    )
    assert moments.seen == 1
