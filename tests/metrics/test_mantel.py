import numpy as np
import pytest

from foresight_cli.metrics import mantel_test, rsa
from foresight_cli.metrics.permutations import group_blocks, permutation_p_value, permute_blocks
from tests.refusal import refusal


def test_hand_case_is_enumerated(oracles, kind):
    b = oracles["B"]
    test = mantel_test(kind(b["X"]), kind(b["Y"]))
    assert test.statistic == pytest.approx(b["rsa_pearson_euclid"], rel=1e-9)
    assert test.p_value == pytest.approx(b["mantel_exact_p_greater"], rel=1e-8)
    assert (test.exact, test.permutations, test.units) == (True, 120, "rows")
    assert test.null_mean == pytest.approx(0, abs=1e-12)
    kendall = mantel_test(kind(b["X"]), kind(b["Y"]), correlation="kendall")
    assert kendall.statistic == pytest.approx(b["rsa_kendall_tau_b"], rel=1e-9)
    assert kendall.p_value == pytest.approx(b["mantel_exact_p_greater"], rel=1e-8)


def test_scikit_bio_example():
    """Points with the distances of its matrices [[0,1,2],[1,0,3],[2,3,0]] and [[0,2,7],[2,0,6],[7,6,0]]."""
    x = [[0.0, 0], [-1, 0], [2, 0]]
    third = np.array([(7**2 - 6**2 + 2**2) / 4, 0])
    third[1] = np.sqrt(49 - third[0] ** 2)
    y = [[0.0, 0], [2, 0], third]
    assert mantel_test(x, y).statistic == pytest.approx(0.7559289, abs=5e-8)
    assert mantel_test(x, y, correlation="spearman").statistic == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("correlation", ["pearson", "spearman", "kendall"])
def test_statistic_is_rsa_of_the_permuted_rows(g1, correlation):
    x, y = (values[:15] for values in g1)
    test = mantel_test(x, y, correlation=correlation, permutations=5, seed=3)
    assert test.statistic == pytest.approx(rsa(x, y, correlation=correlation), abs=1e-12)
    rng, blocks = np.random.default_rng(3), group_blocks(range(15))
    orders = [permute_blocks(blocks, rng) for _ in range(5)]
    expected = [rsa(x[order], y, correlation=correlation) for order in orders]
    np.testing.assert_allclose(test.null, expected, atol=1e-12)


def test_a_large_null_in_single_precision(make_g1):
    x, y = make_g1(n=800)
    test = mantel_test(x, y, permutations=9)
    rng, blocks = np.random.default_rng(0), group_blocks(range(800))
    expected = [rsa(x[permute_blocks(blocks, rng)], y, correlation="pearson") for _ in range(9)]
    np.testing.assert_allclose(test.null, expected, atol=1e-6)


def test_random_permutations(g1):
    test = mantel_test(*g1, permutations=99)
    assert test.p_value == permutation_p_value(test.statistic, test.null) == 0.01
    assert not test.exact
    assert test.null.shape == (99,)
    assert np.array_equal(test.null, mantel_test(*g1, permutations=99).null)
    assert not np.array_equal(test.null, mantel_test(*g1, permutations=99, seed=1).null)
    assert test == mantel_test(*g1, permutations=99)


def test_only_groups_hold_the_level_when_rows_repeat():
    """Independent spaces with each input twice: permuting rows rejects nearly always, permuting groups rarely."""
    rows, groups = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x, y = (np.repeat(rng.standard_normal((30, 8)), 2, axis=0) for _ in range(2))
        rows.append(mantel_test(x, y, permutations=99).p_value)
        groups.append(mantel_test(x, y, permutations=99, groups=np.repeat(np.arange(30), 2)).p_value)
    assert np.mean(np.array(rows) <= 0.05) >= 0.9
    assert np.mean(np.array(groups) <= 0.05) <= 0.2


def test_groups_of_different_sizes_become_means():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(6), np.arange(1, 7))
    x = rng.standard_normal((21, 4))
    test = mantel_test(x, x + 1, groups=groups)
    assert (test.units, test.permutations, test.exact) == ("group means", 720, True)
    means = np.stack([x[groups == group].mean(axis=0) for group in range(6)])
    assert test.statistic == pytest.approx(1)
    noisy = x + rng.standard_normal((21, 4))
    means_y = np.stack([noisy[groups == group].mean(axis=0) for group in range(6)])
    assert mantel_test(x, noisy, groups=groups).statistic == pytest.approx(
        rsa(means, means_y, correlation="pearson"), abs=1e-12
    )


def test_blocks_keep_a_lone_group_in_place():
    x = np.random.default_rng(0).standard_normal((9, 4))
    test = mantel_test(x, x, groups=["a", "b", "c", "d", "d", "e", "e", "e", "e"])
    assert (test.units, test.permutations) == ("blocks", 6)


def test_refusals():
    x = np.random.default_rng(0).standard_normal((6, 3))
    assert refusal(mantel_test, x, x, permutations=0) == "permutations=0: wanted at least 1"
    assert refusal(mantel_test, x, x, correlation="r") == "correlation='r': wanted one of spearman, pearson, kendall"
    assert refusal(mantel_test, x, x, groups=[1, 1, 1, 1, 2, 2]) == (
        "groups has 2 groups of different sizes: mantel_test wants at least 3"
    )
    assert refusal(mantel_test, x, x, groups=[1]) == "groups has 1 entries for 6 rows"
    assert refusal(mantel_test, x, np.ones((6, 2))) == (
        "y has rows that are all equally far apart: a correlation of distances is 0/0 there"
    )
