import numpy as np
import pytest
import torch

from foresight_cli.metrics import distances, duplicate_groups, duplicates
from foresight_cli.metrics.duplicates import first_of_each


def test_exact_duplicates_of_any_kind(kind):
    x = np.random.default_rng(0).integers(0, 50, (12, 5)).astype(float)
    x[[3, 9]] = x[1]
    x[7] = x[0]
    assert duplicate_groups(kind(x)) == ((0, 7), (1, 3, 9))
    assert duplicate_groups(kind(x), tolerance=0) == ((0, 7), (1, 3, 9))


def test_negative_zero_equals_zero():
    x = torch.tensor([[0.0, 1], [-0.0, 1], [2, 1]], dtype=torch.float64)
    assert first_of_each(x).tolist() == [0, 0, 2]


def test_all_rows_equal():
    assert duplicate_groups(np.ones((4, 3))) == ((0, 1, 2, 3),)
    assert duplicate_groups(np.ones((1, 3))) == ()


@pytest.mark.parametrize(("noise", "found"), [(0.001, True), (0.008, True), (0.03, False), (0.1, False)])
def test_near_duplicates_by_their_noise(noise, found):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100, 300)) + 50
    copies = x[:10] + noise * rng.standard_normal((10, 300))
    groups = duplicate_groups(np.vstack([x, copies]))
    assert groups == (tuple((i, 100 + i) for i in range(10)) if found else ())


def test_a_chain_is_one_group_and_tiles_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    x, step = rng.standard_normal((50, 100)), 0.01 * rng.standard_normal(100)
    x[10:14] = x[10] + np.arange(4)[:, None] * step
    assert duplicate_groups(x) == ((10, 11, 12, 13),)
    monkeypatch.setattr(distances, "TILE_NUMBERS", 120)
    assert duplicate_groups(x) == ((10, 11, 12, 13),)


@pytest.mark.parametrize(("n", "d"), [(500, 1), (2000, 2), (1000, 3), (1000, 8), (500, 500)])
def test_independent_rows_are_no_duplicates(n, d):
    """In two columns some rows are within a percent of each other by chance."""
    for seed in range(3):
        assert duplicate_groups(np.random.default_rng(seed).standard_normal((n, d))) == ()


def test_small_rows_beside_huge_ones_are_judged_by_their_own_length():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 40))
    x[:5] *= 1e4
    assert duplicate_groups(x) == ()


def test_refusals(refusal):
    assert refusal(duplicate_groups, np.ones((3, 2)), tolerance=1) == "tolerance=1: wanted a number from 0, below 1"


@pytest.mark.parametrize("scale", [1e2, 1e3, 1e4])
def test_a_massive_column_makes_no_duplicates(scale):
    x = np.random.default_rng(0).standard_normal((450, 512))
    x[:, 7] *= scale
    assert duplicate_groups(x) == ()
    x[9] = x[3]
    assert duplicate_groups(x) == ((3, 9),)


@pytest.mark.parametrize(
    ("columns", "shape"), [(3, "isotropic"), (40, "isotropic"), (40, "decaying"), (40, "outliers"), (40, "massive")]
)
def test_the_tree_finds_what_the_tiles_find(monkeypatch, columns, shape):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1500, columns))
    if shape == "decaying":
        x *= np.logspace(0, -3, columns)
    if shape == "outliers":
        x[:5] *= 1e4
    if shape == "massive":
        x[:, 0] *= 1e4
    for copy, original in enumerate(rng.integers(0, 1000, 60)):
        x[1000 + copy] = x[original] * (1 + 0.01 * rng.standard_normal(columns))
    by_tiles = duplicate_groups(x)
    monkeypatch.setattr("foresight_cli.metrics.duplicates.TREE_ROWS", 0)
    given_up = []
    tree = duplicates._neighbours_in_a_tree
    monkeypatch.setattr(duplicates, "_neighbours_in_a_tree", lambda *a: given_up.append(tree(*a) is None) or tree(*a))
    assert duplicate_groups(x) == by_tiles
    assert given_up == [False]
    assert bool(by_tiles) == (shape != "massive")


def test_a_tree_with_too_many_candidates_is_given_up(monkeypatch):
    rng = np.random.default_rng(0)
    x = np.repeat(rng.standard_normal((4, 30)), 200, axis=0) + 1e-4 * rng.standard_normal((800, 30))
    by_tiles = duplicate_groups(x)
    monkeypatch.setattr("foresight_cli.metrics.duplicates.TREE_ROWS", 0)
    assert duplicate_groups(x) == by_tiles
    assert [len(group) for group in by_tiles] == [200] * 4


@pytest.mark.parametrize("copies", [10, 50, 200])
def test_of_very_many_rows_that_are_alike_the_nearest_link_them(monkeypatch, copies):
    rng = np.random.default_rng(0)
    x = np.repeat(rng.standard_normal((4, 30)), copies, axis=0) + 1e-4 * rng.standard_normal((4 * copies, 30))
    x = rng.permutation(np.concatenate([x, rng.standard_normal((200, 30))]))
    by_tiles = duplicate_groups(x)
    monkeypatch.setattr("foresight_cli.metrics.duplicates.TREE_ROWS", 0)
    monkeypatch.setattr("foresight_cli.metrics.duplicates.ALL_PAIRS_ROWS", 0)
    assert duplicate_groups(x) == by_tiles
    assert [len(group) for group in by_tiles] == [copies] * 4
