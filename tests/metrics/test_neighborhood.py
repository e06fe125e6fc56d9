import numpy as np
import pytest

from foresight_cli.metrics import distances, neighborhood
from tests.refusal import refusal


def test_g1(oracles, g1, kind):
    f = oracles["F_G1_knn_euclid_k10"]
    x, y = map(kind, g1)
    result = neighborhood(x, y)
    assert result.recall == pytest.approx(f["recall"], rel=1e-12)
    assert result.jaccard == pytest.approx(f["jaccard"], rel=1e-6)
    assert result.mrr == pytest.approx(f["mrr_of_true_1nn"], rel=1e-6)
    assert result.mrr_study == pytest.approx(f["mrr_seed_def"], rel=1e-6)
    assert result.expected == pytest.approx(f["chance_recall"], rel=1e-6)
    assert result.expected_jaccard == pytest.approx(f["chance_jaccard"], rel=1e-6)
    for k, key in ((1, "recall1"), (5, "recall5"), (20, "recall20")):
        assert neighborhood(x, y, k=k).recall == pytest.approx(f[key], rel=1e-12)
    assert neighborhood(x, y, distance="cosine").recall == pytest.approx(f["recall10_cosine"], rel=1e-12)


def test_digits(oracles, digits):
    """The many ties are broken by seed, but were broken by index in the oracle."""
    x = digits[0]
    expected = oracles["D_digits_top32_vs_bottom32"]["recall10_n1797"]
    assert neighborhood(x[:, :32], x[:, 32:]).recall == pytest.approx(expected, abs=5e-4)


def test_fields(g1):
    result = neighborhood(*g1)
    assert result.recall_per_row.shape == (200,)
    assert result.recall_per_row.mean() == pytest.approx(result.recall)
    assert result.standard_error == pytest.approx(1.3 * result.recall_per_row.std(ddof=1) / np.sqrt(200))
    assert (result.k, result.n) == (10, 200)
    assert result.queries.tolist() == list(range(200))
    swapped = neighborhood(*reversed(g1))
    assert (swapped.recall, swapped.jaccard) == pytest.approx((result.recall, result.jaccard), rel=1e-12)
    assert swapped.mrr != result.mrr


def test_expectations_hold_for_independent_spaces():
    rng = np.random.default_rng(0)
    results = [neighborhood(rng.standard_normal((300, 5)), rng.standard_normal((300, 5))) for _ in range(10)]
    mean = {name: np.mean([getattr(r, name) for r in results]) for name in ("recall", "jaccard", "mrr", "mrr_study")}
    assert mean["recall"] == pytest.approx(results[0].expected, rel=0.05)
    assert mean["jaccard"] == pytest.approx(results[0].expected_jaccard, rel=0.05)
    assert mean["mrr"] == pytest.approx(results[0].expected_mrr, rel=0.15)
    assert mean["mrr_study"] == pytest.approx(results[0].expected_mrr, rel=0.05)


def test_invariances(g1):
    x, y = g1
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.standard_normal((20, 20)))[0]
    order = rng.permutation(200)
    result = neighborhood(x, y)
    assert neighborhood(3 * x @ rotation - 7, y) == result
    moved = neighborhood(x[order], y[order])
    assert (moved.recall, moved.mrr) == pytest.approx((result.recall, result.mrr), rel=1e-12)
    assert np.array_equal(moved.recall_per_row, result.recall_per_row[order])


def test_constant_classes_do_not_agree_by_index():
    """In two spaces of equal rows, neighbours chosen by index would all agree."""
    result = neighborhood(np.ones((60, 2)), np.ones((60, 3)), k=10)
    assert result.recall == pytest.approx(result.expected, abs=0.06)
    assert result == neighborhood(np.ones((60, 2)), np.ones((60, 3)), k=10)
    assert result.recall != neighborhood(np.ones((60, 2)), np.ones((60, 3)), k=10, seed=1).recall


def test_queries_are_a_seeded_subset(g1, monkeypatch):
    whole, some = neighborhood(*g1), neighborhood(*g1, queries=50)
    assert len(some.queries) == len(set(some.queries)) == 50
    assert np.array_equal(some.recall_per_row, whole.recall_per_row[some.queries])
    assert some.standard_error > whole.standard_error
    monkeypatch.setattr(distances, "TILE_NUMBERS", 1000)
    assert neighborhood(*g1) == whole


def test_refusals(g1):
    x, y = g1
    assert refusal(neighborhood, x, y, k=200) == "k=200: wanted 1 to 199 for 200 rows"
    assert refusal(neighborhood, x, y, k=0) == "k=0: wanted 1 to 199 for 200 rows"
    assert refusal(neighborhood, x, y, queries=201) == "queries=201: wanted 2 to 200 for 200 rows"
    assert refusal(neighborhood, x[:2], y[:2]) == "x has 2 rows: neighborhood wants at least 3"
    assert neighborhood(x, y, k=199).recall == 1
