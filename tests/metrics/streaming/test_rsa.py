import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foresight_cli.metrics import rsa
from foresight_cli.metrics.streaming import RSA
from foresight_cli.metrics.streaming.rsa import row_hash
from tests.refusal import refusal


def test_equal_to_rsa_of_the_sample_over_any_sharding(shardings, make_g1):
    x, y = make_g1(n=150)
    index = np.arange(150)
    kept = np.sort(np.argsort(row_hash(index, 3))[:40])
    expected = rsa(x[kept], y[kept], max_pairs=100, seed=3)

    @settings(max_examples=25, deadline=None)
    @given(shardings(150))
    def check(sharding):
        metric = sharding.stream(lambda: RSA(40, 5, seed=3), x, y, index=index)
        assert metric.kept().tolist() == kept.tolist()
        result = metric.compute()
        assert result.rsa == pytest.approx(expected, abs=1e-12)
        assert (result.rows, result.pairs, metric.seen) == (40, 100, 150)

    check()


@pytest.mark.parametrize("distance", ["euclidean", "sqeuclidean", "cosine", "correlation"])
@pytest.mark.parametrize("correlation", ["spearman", "pearson", "kendall"])
def test_all_pairs_of_few_rows_are_plain_rsa(g1, in_order, distance, correlation):
    x, y = (values[:60] for values in g1)
    result = in_order(60, 7).stream(lambda: RSA(100, None, distance=distance, correlation=correlation), x, y).compute()
    assert result.rsa == pytest.approx(rsa(x, y, distance=distance, correlation=correlation), abs=1e-12)
    assert (result.rows, result.pairs) == (60, 60 * 59 // 2)


def test_published_number(oracles, digits, in_order):
    x = digits[0]
    result = in_order(1797, 256).stream(lambda: RSA(matchings=None), x[:, :32], x[:, 32:]).compute()
    assert result.rsa == pytest.approx(oracles["D_digits_top32_vs_bottom32"]["rsa_spearman_euclid"], rel=1e-8)


def test_standard_error(make_g1):
    """The error follows the rule, and the estimates of 30 samples of 200 rows do not spread more."""
    x, y = make_g1(n=3000)
    results = []
    for seed in range(30):
        metric = RSA(200, 20, seed=seed)
        metric.update(x, y)
        results.append(metric.compute())
    first = results[0]
    assert first.standard_error == pytest.approx((1 - first.rsa**2) / np.sqrt(2000) + 0.5 / np.sqrt(200), rel=1e-12)
    assert len({result.rsa for result in results}) == 30
    assert np.std([result.rsa for result in results], ddof=1) < first.standard_error
    assert np.mean([result.rsa for result in results]) == pytest.approx(rsa(x, y, max_pairs=100_000), abs=0.02)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**53 - 3000), st.integers(0, 2**31))
def test_the_draw_is_uniform_and_without_ties(start, seed):
    hashed = row_hash(np.arange(start, start + 3000), seed)
    assert len(np.unique(hashed)) == 3000
    # The number of the 3000 in the lower quarter has mean 750 and standard deviation 23.7.
    assert abs((hashed < 2**62).sum() - 750) < 5 * 23.7
    # Neighbours are drawn independently: 187.5 of 2999 pairs, standard deviation about 18.
    low = hashed < 2**62
    assert abs((low[1:] & low[:-1]).sum() - 187.5) < 5 * 18


def test_rows_without_an_index_continue_the_count(g1):
    x, y = g1
    counted, numbered = RSA(50), RSA(50)
    for rows in np.split(np.arange(200), [30, 31, 31, 120]):
        counted.update(x[rows], y[rows])
        numbered.update(x[rows], y[rows], index=torch.from_numpy(rows))
    assert counted.kept().tolist() == numbered.kept().tolist()
    assert counted.compute() == numbered.compute()


def test_small_samples(g1):
    x, y = g1
    for n in (3, 4, 5):
        metric = RSA(matchings=1)
        metric.update(x[:n], y[:n])
        assert metric.compute().rsa == rsa(x[:n], y[:n], max_pairs=3)
        assert metric.compute().pairs == 3


def test_types_that_come_in(g1):
    x, y = (torch.tensor(values, dtype=torch.bfloat16) for values in g1)
    metric = RSA(matchings=None)
    metric.update(x[:90], y[:90])
    metric.update(x[90:].float().numpy(), y[90:])
    assert metric.compute().rsa == pytest.approx(rsa(x, y), abs=1e-12)


def test_refusals(g1):
    x, y = g1
    assert refusal(RSA, 2) == "rows=2: wanted 3 to 1000000"
    assert refusal(RSA, matchings=0) == "matchings=0: wanted 1 to 1000000"
    assert refusal(RSA, distance="city") == "distance='city': wanted one of euclidean, sqeuclidean, cosine, correlation"
    assert refusal(RSA, correlation="tau") == "correlation='tau': wanted one of spearman, pearson, kendall"
    metric = RSA(10)
    assert refusal(metric.compute) == "RSA has 0 rows so far: wanted at least 3 before compute()"
    metric.update(x[:2], y[:2])
    assert refusal(metric.compute) == "RSA has 2 rows so far: wanted at least 3 before compute()"
    twice = "index 1 came twice: give each row its number among all rows of all workers, as update(x, y, index=...)"
    assert refusal(metric.update, x[:2], y[:2], index=[1, 2]) == twice
    assert refusal(metric.update, x[:2], y[:2], index=[7, 7]) == twice.replace("1", "7", 1)
    other = RSA(10)
    other.update(x[:2], y[:2], index=[1, 5])
    assert refusal(metric.merge_state, other) == twice
    assert refusal(metric.update, x[:2], y[:2], index=[1]) == "index has 1 entries for 2 rows"
    assert refusal(metric.update, x[:2], y[:2], index=[0.5, 1]) == "index has dtype float64: wanted whole numbers"
    assert refusal(metric.update, x[:2], y[:2], index=[3, -1]) == "index is -1 in row 3: wanted 0 to 2^53"
    assert refusal(metric.update, x[:2], y[:2, :3]) == (
        "y has 3 columns in the batch from row 2 on: RSA wants 30, as in the rows before"
    )
    x = x.copy()
    x[1, 0] = np.inf
    assert refusal(metric.update, x, y) == "x has NaN or Inf in row 3: RSA wants finite numbers"
    flat = RSA()
    flat.update(np.eye(8), y[:8])
    assert refusal(flat.compute) == (
        "x has rows that are all equally far apart: a correlation of distances is 0/0 there"
    )
    assert (metric.seen, metric.kept().tolist()) == (2, [0, 1])
