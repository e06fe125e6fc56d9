import numpy as np
import pytest

from foresight_cli.metrics.permutations import (
    all_permutations,
    count_permutations,
    group_blocks,
    movable_share,
    permutation_p_value,
    permute_blocks,
    permute_groups,
)
from tests.refusal import refusal

GROUPS = ["a", "b", "b", "c", "a", "d", "e", "e", "e"]


def test_blocks_gather_groups_by_size():
    blocks = [block.tolist() for block in group_blocks(GROUPS)]
    assert blocks == [[[3], [5]], [[0, 4], [1, 2]], [[6, 7, 8]]]
    assert movable_share(group_blocks(GROUPS)) == 4 / 5


def test_groups_move_whole_and_in_order():
    groups = np.array(GROUPS)
    seen = set()
    for seed in range(50):
        order = permute_groups(GROUPS, np.random.default_rng(seed))
        assert sorted(order) == list(range(9))
        assert order[6:].tolist() == [6, 7, 8]
        assert set(groups[order[[0, 4]]]) in ({"a"}, {"b"})
        assert order[0] < order[4]
        seen.add(tuple(order))
    assert len(seen) == count_permutations(group_blocks(GROUPS)) == 4
    assert seen == {tuple(order) for order in all_permutations(group_blocks(GROUPS))}


def test_enumeration_starts_with_the_identity():
    orders = [tuple(order) for order in all_permutations(group_blocks(range(4)))]
    assert orders[0] == (0, 1, 2, 3)
    assert len(set(orders)) == 24


def test_single_rows_are_permuted_uniformly():
    blocks, rng = group_blocks(range(3)), np.random.default_rng(0)
    counts = {}
    for _ in range(6000):
        order = tuple(permute_blocks(blocks, rng))
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    assert min(counts.values()) > 880


def test_p_value_counts_ties_and_is_never_zero():
    assert permutation_p_value(9, np.zeros(999)) == 1 / 1000
    assert permutation_p_value(1.0, [1 - 1e-13, 0.5, 2]) == pytest.approx(3 / 4)
    assert permutation_p_value(-1.0, [-1 - 1e-6, 0]) == pytest.approx(2 / 3)


def test_missing_groups():
    assert refusal(permute_groups, ["a", None], np.random.default_rng(0)) == "groups has no value in row 1"
