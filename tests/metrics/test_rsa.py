import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.stats import kendalltau, pearsonr, rankdata, spearmanr

from foresight_cli.metrics import rsa
from foresight_cli.metrics.rsa import average_ranks, random_matchings
from tests.refusal import refusal


def test_hand_cases(oracles, kind):
    a, b = oracles["A"], oracles["B"]
    x, y = kind(a["X"]), kind(a["Y"])
    assert rsa(x, y, correlation="pearson") == pytest.approx(a["rsa_pearson_euclid"], rel=1e-9)
    assert rsa(x, y) == pytest.approx(a["rsa_spearman_euclid"], abs=1e-9)
    x, y = kind(b["X"]), kind(b["Y"])
    assert rsa(x, y, correlation="pearson") == pytest.approx(b["rsa_pearson_euclid"], rel=1e-9)
    assert rsa(x, y) == pytest.approx(b["rsa_spearman_euclid"], rel=1e-9)
    assert rsa(x, y, correlation="kendall") == pytest.approx(b["rsa_kendall_tau_b"], rel=1e-9)


def test_g1(oracles, g1, kind):
    h = oracles["H_G1_rsa"]
    x, y = map(kind, g1)
    for correlation in ("pearson", "spearman", "kendall"):
        assert rsa(x, y, correlation=correlation) == pytest.approx(h[correlation], rel=2e-6)
    assert rsa(x, y, distance="cosine") == pytest.approx(h["cosine_spearman"], rel=2e-6)
    assert rsa(x, y, distance="correlation") == pytest.approx(h["correlation_spearman"], rel=2e-6)
    assert rsa(x, y, distance="sqeuclidean", correlation="pearson") == pytest.approx(h["sq_pearson"], rel=2e-6)


def test_iris_and_digits(oracles, iris, digits):
    c, x = oracles["C_iris_cols01_vs_23"], iris[0]
    x, y = x[:, :2], x[:, 2:]
    assert rsa(x, y, correlation="pearson") == pytest.approx(c["rsa_pearson_euclid"], rel=1e-8)
    assert rsa(x, y, distance="sqeuclidean", correlation="pearson") == pytest.approx(
        c["rsa_pearson_sqeuclid"], rel=1e-8
    )
    d, x = oracles["D_digits_top32_vs_bottom32"], digits[0]
    assert rsa(x[:, :32], x[:, 32:]) == pytest.approx(d["rsa_spearman_euclid"], rel=1e-8)
    assert rsa(x[:, :32], x[:, 32:], correlation="pearson") == pytest.approx(d["rsa_pearson_euclid"], rel=1e-8)


def test_true_ties_of_iris_stay_ties(iris):
    """Iris has many equal distances; SciPy, without rounding, separates some by their last bit (.725754)."""
    x = iris[0]
    rounded = [pdist(part).round(10) for part in (x[:, :2], x[:, 2:])]
    assert rsa(x[:, :2], x[:, 2:]) == pytest.approx(spearmanr(*rounded).statistic, rel=1e-12)
    assert rsa(x[:, :2], x[:, 2:]) != pytest.approx(0.725754, abs=1e-5)


@pytest.mark.parametrize("distance", ["euclidean", "sqeuclidean", "cosine", "correlation"])
@pytest.mark.parametrize(
    ("correlation", "reference"), [("spearman", spearmanr), ("pearson", pearsonr), ("kendall", kendalltau)]
)
def test_equal_to_scipy(g1, distance, correlation, reference):
    x, y = (values[:50] for values in g1)
    expected = reference(pdist(x, distance), pdist(y, distance)).statistic
    assert rsa(x, y, distance=distance, correlation=correlation) == pytest.approx(expected, rel=1e-10)


def test_invariances(g1):
    x, y = g1
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.standard_normal((20, 20)))[0]
    order = rng.permutation(200)
    for correlation in ("spearman", "pearson"):
        value = rsa(x, y, correlation=correlation)
        assert rsa(3 * x @ rotation - 7, y, correlation=correlation) == pytest.approx(value, abs=1e-10)
        assert rsa(x[order], y[order], correlation=correlation) == pytest.approx(value, abs=1e-10)
        assert rsa(y, x, correlation=correlation) == pytest.approx(value, abs=1e-12)
        assert rsa(x, x, correlation=correlation) == pytest.approx(1, abs=1e-12)


def test_matchings_are_disjoint_and_seeded():
    left, right = random_matchings(11, 13, seed=0)
    assert len(left) == len(right) == 13
    assert len(set(left[:5]) | set(right[:5])) == 10
    assert np.array_equal(left, random_matchings(11, 13, seed=0)[0])
    assert not np.array_equal(left, random_matchings(11, 13, seed=1)[0])


def test_matchings_approach_all_pairs(make_g1):
    x, y = make_g1(n=1000)
    sampled = [rsa(x, y, max_pairs=10_000, seed=seed) for seed in range(5)]
    assert np.mean(sampled) == pytest.approx(rsa(x, y), abs=0.01)
    assert len(set(sampled)) == 5
    assert rsa(x, y, max_pairs=10_000, seed=3) == sampled[3]
    assert rsa(x[:20], y[:20], max_pairs=190) == rsa(x[:20], y[:20])


def test_average_ranks():
    values = np.random.default_rng(0).integers(0, 20, 100).astype(float)
    assert np.array_equal(average_ranks(torch.tensor(values)).numpy(), rankdata(values))


def test_refusals():
    x = np.random.default_rng(0).standard_normal((8, 3))
    assert refusal(rsa, x, x, correlation="tau") == "correlation='tau': wanted one of spearman, pearson, kendall"
    assert refusal(rsa, x, x, max_pairs=2) == "max_pairs=2: wanted 3 to 28"
    assert refusal(rsa, x[:2], x[:2]) == "x has 2 rows: rsa wants at least 3"
    assert refusal(rsa, x, np.eye(8)) == (
        "y has rows that are all equally far apart: a correlation of distances is 0/0 there"
    )
