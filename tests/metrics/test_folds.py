import numpy as np
import pytest

from foresight_cli.metrics import grouped_folds
from tests.refusal import refusal


def test_every_row_is_tested_once_and_no_group_is_split():
    groups = np.random.default_rng(0).integers(0, 20, 100)
    folds = grouped_folds(groups, 5, seed=0)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(100))
    for train, test in folds:
        assert sorted([*train, *test]) == list(range(100))
        assert not set(groups[train]) & set(groups[test])


def test_large_groups_are_spread():
    groups = [0] * 50 + [1] * 50 + list(range(2, 352))
    sizes = [len(test) for _, test in grouped_folds(groups, 5, seed=0)]
    assert sizes == [90] * 5


def test_single_rows_give_equal_folds_by_seed():
    folds = grouped_folds(range(203), 5, seed=1)
    assert sorted(len(test) for _, test in folds) == [40, 40, 41, 41, 41]
    again, other = grouped_folds(range(203), 5, seed=1), grouped_folds(range(203), 5, seed=2)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(folds, again, strict=True))
    assert not np.array_equal(folds[0][1], other[0][1])


@pytest.mark.parametrize("folds", [1, 4])
def test_refusals(folds):
    assert refusal(grouped_folds, ["a", "b", "c", "c"], folds, 0) == f"folds={folds}: wanted 2 to 3 for 3 groups"


@pytest.mark.parametrize("folds", [1, 2, 5])
def test_one_group_is_named_not_an_empty_range(folds):
    message = "all 3 rows are in one group: folds want at least 2 groups"
    assert refusal(grouped_folds, ["a", "a", "a"], folds, 0) == message
