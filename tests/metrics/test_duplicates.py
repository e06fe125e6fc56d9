import numpy as np
import pytest
import torch

from foresight_cli.metrics import distances, duplicate_groups, duplicates
from foresight_cli.metrics.duplicates import first_of_each
from tests.refusal import refusal


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


@pytest.mark.parametrize(("noise", "near"), [(0.001, True), (0.008, True), (0.03, False), (0.1, False)])
def test_near_duplicates_by_their_noise(noise, near):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100, 300)) + 50
    copies = x[:10] + noise * rng.standard_normal((10, 300))
    groups = duplicate_groups(np.vstack([x, copies]))
    assert groups == (tuple((i, 100 + i) for i in range(10)) if near else ())


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


def test_small_rows_beside_huge_ones_are_judged_by_their_length():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 40))
    x[:5] *= 1e4
    assert duplicate_groups(x) == ()


def test_refusals():
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
    monkeypatch.setattr(duplicates, "_neighbours_in_tiles", None)  # fails if it is used
    assert duplicate_groups(x) == by_tiles
    assert bool(by_tiles) == (shape != "massive")


def test_a_tree_with_too_many_candidates_is_given_up(monkeypatch):
    rng = np.random.default_rng(0)
    x = np.repeat(rng.standard_normal((4, 30)), 200, axis=0) + 1e-4 * rng.standard_normal((800, 30))
    by_tiles = duplicate_groups(x)
    monkeypatch.setattr("foresight_cli.metrics.duplicates.TREE_ROWS", 0)
    assert duplicate_groups(x) == by_tiles
    assert [len(group) for group in by_tiles] == [200] * 4


@pytest.fixture
def very_many(monkeypatch):
    """Make any number of rows count as very many."""
    monkeypatch.setattr("foresight_cli.metrics.duplicates.TREE_ROWS", 0)
    monkeypatch.setattr("foresight_cli.metrics.duplicates.ALL_PAIRS_ROWS", 0)


def crowds(copies, n=4):
    rng = np.random.default_rng(0)
    x = np.repeat(rng.standard_normal((n, 30)), copies, axis=0) + 1e-4 * rng.standard_normal((n * copies, 30))
    return rng.permutation(np.concatenate([x, rng.standard_normal((200, 30))]))


def frames_of_stills():
    """Return 40 nearly equal frames of each of 12 stills, which are near-duplicates of one another."""
    rng = np.random.default_rng(1)
    stills = rng.standard_normal(30) + 0.006 * rng.standard_normal((12, 30))
    frames = np.repeat(stills, 40, axis=0) + 1e-6 * rng.standard_normal((480, 30))
    return np.concatenate([frames, rng.standard_normal((300, 30))])


def beside_a_crowd():
    rng = np.random.default_rng(2)
    blank = rng.standard_normal(30) + 1e-4 * rng.standard_normal((700, 30))
    return np.concatenate([frames_of_stills()[:40], frames_of_stills()[80:120], blank, rng.standard_normal((2600, 30))])


def alike_where_they_spread_most():
    """Return rows that differ mostly in directions that the tree does not use."""
    rng = np.random.default_rng(3)
    x = np.repeat(rng.standard_normal((10, 40)) * 4, 60, axis=0)
    x[:, 8:] = 0
    x[:, 8:] += 0.5 * rng.standard_normal((600, 32))
    x[300:] = x[:300] + 0.0005 * rng.standard_normal((300, 40))
    return x


@pytest.mark.parametrize(
    "x",
    [crowds(10), crowds(50), crowds(200), frames_of_stills(), beside_a_crowd(), alike_where_they_spread_most()],
    ids=["10", "50", "200", "frames", "beside", "elsewhere"],
)
def test_very_many_rows_are_linked_as_by_all_pairs(very_many, monkeypatch, x):
    groups = duplicate_groups(x)
    monkeypatch.setattr("foresight_cli.metrics.duplicates.TREE_ROWS", len(x))
    assert groups == duplicate_groups(x)
    assert groups


def test_rows_that_are_left_out_are_reported(very_many, monkeypatch, caplog):
    monkeypatch.setattr("foresight_cli.metrics.duplicates.MOST_HEADS", 3)
    duplicate_groups(crowds(200, n=5))
    assert caplog.messages == ["warning: 1200 rows have too many neighbours to find all near-duplicates among them"]
