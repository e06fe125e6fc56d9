import numpy as np
import pytest
import torch
from hypothesis import given, settings
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from foresight_cli.metrics import linear_probe
from foresight_cli.metrics.streaming import LinearProbe, StreamedProbe, hashed_folds
from tests.refusal import refusal


def splits(fold, folds):
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(folds)]


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("penalty", [1e-3, 1.0])
def test_equal_to_in_memory_over_any_sharding(shardings, make_g1, offset, penalty):
    x, y = make_g1(n=120, d1=9, d2=12)
    x, y = x * np.arange(1, 10) + offset, y - offset
    groups = np.repeat(np.arange(40), 3)
    fold = hashed_folds(groups, 5)
    expected = linear_probe(x, y, folds=splits(fold, 5), penalties=[penalty], reach=np.inf)

    def make():
        return LinearProbe(penalties=[penalty])

    whole = make()
    whole.update(x, y, fold=fold)
    together = whole.compute()

    @settings(max_examples=10, deadline=None)
    @given(shardings(120))
    def check(sharding):
        result = sharding.stream(make, x, y, groups=groups).compute()
        assert result.r2 == pytest.approx(expected.r2, abs=1e-10)
        assert result.r2_per_fold == pytest.approx(expected.r2_per_fold, abs=1e-10)
        assert result.penalties == pytest.approx(expected.penalties, rel=1e-10)
        assert result.r2 == pytest.approx(together.r2, abs=1e-12)

    check()


@pytest.mark.parametrize(("d1", "d2"), [(5, 70), (70, 5), (70, 70)])
def test_equal_to_in_memory_whatever_is_wide(make_g1, in_order, d1, d2):
    """With fewer training rows than columns of x the in-memory probe solves the dual problem."""
    x, y = make_g1(n=60, d1=d1, d2=d2)
    fold = np.arange(60) % 4
    expected = linear_probe(x, y, folds=splits(fold, 4), penalties=[0.1], reach=np.inf)
    result = in_order(60, 11).stream(lambda: LinearProbe(4, [0.1]), x, y, fold=fold).compute()
    assert result.r2 == pytest.approx(expected.r2, abs=1e-10)
    assert result.r2_per_fold == pytest.approx(expected.r2_per_fold, abs=1e-10)


def test_several_penalties_equal_to_a_nested_scikit_learn_loop(make_g1, in_order):
    x, y = make_g1(n=90, d1=30, d2=6, s=2.0)
    x = x * np.geomspace(0.1, 10, 30) + 3
    fold, multiples = np.arange(90) % 5, [1e-3, 0.5, 1.0, 1.5, 2.0, 30.0]

    def squared_error(train, test, multiple):
        # Each of the 30 columns has variance 1, so the mean eigenvalue tr(ZZ')/n is 30.
        model = make_pipeline(StandardScaler(), Ridge(alpha=multiple * 30)).fit(x[train], y[train])
        return ((y[test] - model.predict(x[test])) ** 2).sum()

    residual, total, chosen = [], [], []
    for k in range(5):
        errors = [
            sum(squared_error((fold != k) & (fold != j), fold == j, m) for j in range(5) if j != k) for m in multiples
        ]
        chosen.append(multiples[int(np.argmin(errors))])
        residual.append(squared_error(fold != k, fold == k, chosen[-1]))
        total.append(((y[fold == k] - y[fold != k].mean(axis=0)) ** 2).sum())
    assert len(set(chosen)) > 1, "the folds should not all choose the same penalty"
    result = in_order(90, 20).stream(lambda: LinearProbe(penalties=multiples), x, y, fold=fold).compute()
    assert result.penalties == pytest.approx([30 * m for m in chosen], rel=1e-12)
    assert result.r2 == pytest.approx(1 - sum(residual) / sum(total), abs=1e-10)
    per_fold = [1 - a / b for a, b in zip(residual, total, strict=True)]
    assert result.r2_per_fold == pytest.approx(per_fold, abs=1e-10)
    error = np.sqrt((1 / 5 + 18 / 72) * np.var(per_fold, ddof=1))
    assert result.r2_standard_error == pytest.approx(error, rel=1e-9)
    assert result.r2_interval == pytest.approx((result.r2 - 1.96 * error, result.r2 + 1.96 * error), abs=1e-9)


def test_constant_columns_and_constant_x(g1):
    x, y = g1
    fold, ones = np.arange(200) % 5, np.full((200, 2), 0.1)

    def score(source, target):
        metric = LinearProbe(penalties=[0.1, 1])
        for rows in np.split(np.arange(200), [70, 71]):
            metric.update(source[rows], target[rows], fold=fold[rows])
        return metric.compute().r2

    assert score(np.hstack([x, ones]), np.hstack([y, ones])) == pytest.approx(score(x, y), abs=1e-12)
    assert score(ones, y) == pytest.approx(0, abs=1e-12)


def test_groups_stay_together_and_folds_depend_on_nothing_else():
    words = [f"clip-{i}" for i in range(2000)]
    fold = hashed_folds(words, 5)
    assert hashed_folds(words[::-1], 5)[::-1].tolist() == fold.tolist()
    assert hashed_folds(np.array(words), 5).tolist() == fold.tolist()
    assert hashed_folds(torch.arange(9), 5).tolist() == hashed_folds([str(i) for i in range(9)], 5).tolist()
    # 2000 draws out of 5: mean 400, standard deviation 17.9.
    assert np.abs(np.bincount(fold) - 400).max() < 4 * 17.9
    assert (hashed_folds(words, 5, seed=1) != fold).mean() == pytest.approx(0.8, abs=0.04)


def test_repeated_inputs_share_a_fold():
    """Independent spaces, each input twice, in different batches."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((150, 300)), rng.standard_normal((150, 20))
    grouped, row_wise = LinearProbe(), LinearProbe()
    for time in range(2):
        grouped.update(x, y, groups=np.arange(150))
        row_wise.update(x, y, groups=np.arange(150) + 150 * time)
    assert grouped.compute().r2 < 0.05
    assert row_wise.compute().r2 > 0.2


def test_types_that_come_in(g1):
    x, y = (torch.tensor(values, dtype=torch.bfloat16) for values in g1)
    metric = LinearProbe(penalties=[1])
    metric.update(x[:90], y[:90], fold=torch.arange(90) % 5)
    metric.update(x[90:], y[90:], fold=(torch.arange(90, 200) % 5).tolist())
    expected = linear_probe(x, y, folds=splits(np.arange(200) % 5, 5), penalties=[1], reach=np.inf)
    assert metric.compute().r2 == pytest.approx(expected.r2, abs=1e-10)
    assert isinstance(metric.compute(), StreamedProbe)


def test_refusals():
    x = np.random.default_rng(0).standard_normal((8, 3))
    assert refusal(LinearProbe, 1) == "folds=1: wanted 2 to 100"
    assert refusal(LinearProbe, 2) == (
        "folds=2: wanted at least 3 to choose among 13 penalties; give one penalty or more folds"
    )
    assert refusal(LinearProbe, penalties=[0.0]) == "penalties=[0.0]: wanted one or more numbers above 0"
    probe = LinearProbe(3)
    neither = "LinearProbe wants fold= or groups=, one of them, with every batch"
    assert refusal(probe.update, x, x) == neither
    assert refusal(probe.update, x, x, fold=0, groups=range(8)) == neither
    probe.update(x[:4], x[:4], fold=0)
    assert refusal(probe.update, x, x, fold=[0, 1, 2, 3, 0, 1, 2, 0]) == "fold is 3 in row 7: wanted 0 to 2"
    assert refusal(probe.update, x, x, fold=-1) == "fold is -1 in row 4: wanted 0 to 2"
    assert refusal(probe.update, x, x, fold=[0]) == "fold has 1 entries for 8 rows"
    assert refusal(probe.update, x, x, fold="a") == "fold has dtype <U1: wanted whole numbers, 0 to 2"
    assert refusal(probe.update, x, x, groups=[0]) == "groups has 1 entries for 8 rows"
    assert refusal(probe.update, x, x, groups=["a", 1.5, *range(6)]) == (
        "groups has 1.5 in row 5: wanted words or whole numbers"
    )
    assert refusal(probe.update, x, x[:7], fold=0) == (
        "x has 8 rows and y has 7 in the batch from row 4 on: LinearProbe wants the same samples in the same order"
    )
    probe.update(x[4:5], x[4:5], fold=2)
    assert refusal(probe.compute) == (
        "fold 1 of 3 has none of the 5 rows so far: wanted rows in every fold before compute()"
    )
    probe.update(x[5:6], x[5:6], fold=1)
    assert refusal(probe.compute) == "fold 0 has 2 training and 4 test rows: wanted 3 and 1"
    constant = LinearProbe(2, [1])
    constant.update(x, np.ones((8, 2)), fold=np.arange(8) % 2)
    assert refusal(constant.compute) == "y is constant: all its 8 rows are equal, and LinearProbe wants rows that vary"
    apart = LinearProbe(2, [1])
    apart.update(x, np.array([[1.0]] * 4 + [[2.0], [0.0], [1.0], [1.0]]), fold=np.repeat([0, 1], 4))
    assert refusal(apart.compute) == "y is constant in a test fold: its R2 is undefined there; use fewer folds"
    wide = np.zeros((1, 8193))
    assert refusal(LinearProbe().update, wide, x[:1], fold=0) == (
        "x has 8193 columns: LinearProbe keeps 5 sums [d1, d1], 2.7 GB, and takes up to 8192. Project x first, or give "
        "linear_probe a sample of the rows"
    )
