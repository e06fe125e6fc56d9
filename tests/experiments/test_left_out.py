"""Tests that a bad row or category only affects the measure that needs it, against references on the other rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr
from sklearn.metrics import silhouette_score

from foresight_cli.experiments.categories import categorised, category_rows
from foresight_cli.experiments.clusters import cluster_scores
from foresight_cli.experiments.dimension import dimensions
from foresight_cli.experiments.left_out import (
    named,
    no_cosines,
    no_dimensions,
    partly_measured,
    uncategorised,
    zero_rows,
)
from foresight_cli.experiments.pairs import cosine_spearman
from foresight_cli.inputs.joined import SampleTable
from foresight_cli.inputs.representation import Representation
from foresight_cli.metrics import knn_accuracy
from foresight_cli.results import CategoryRows

N = 60
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((N, 5)), RNG.standard_normal((N, 4))
IDS = [f"s{i}" for i in range(N)]
GROUPS = [f"g{i // 2}" for i in range(N)]


def space(values, side="source", **more) -> Representation:
    return Representation(side, "a", "final", "flat", "", torch.from_numpy(np.asarray(values, dtype=float)), **more)


def scored(labels) -> SampleTable:
    return SampleTable(IDS[: len(labels)], labels, GROUPS[: len(labels)], {})


def long_tailed() -> list[str | None]:
    """Return labels with two categories, one label of a single row, and two rows without a label."""
    labels: list[str | None] = ["cat" if x > 0 else "dog" for x in X[:, 0]]
    labels[7], labels[20], labels[21] = "solo", None, None
    return labels


# --- categories


def test_rows_that_are_scored_by_category():
    labels = long_tailed()
    kept = [row for row in range(N) if row not in (7, 20, 21)]
    assert categorised(labels) == kept
    assert category_rows(labels) == CategoryRows(scored=57, unlabelled=2, alone=1, reason=None)


def test_category_scores_are_of_the_rows_that_are_left():
    labels = long_tailed()
    kept = categorised(labels)
    scores = cluster_scores(space(X), labels, GROUPS, 0)
    names = [labels[row] for row in kept]
    assert scores.silhouette == pytest.approx(silhouette_score(X[kept], names), abs=1e-12)
    groups = [GROUPS[row] for row in kept]
    assert scores.knn_accuracy == knn_accuracy(X[kept], names, k=5, folds=5, groups=groups, seed=0)
    assert scores.knn_chance == max(names.count("cat"), names.count("dog")) / 57
    distances = pdist(X[kept])
    same = pdist(np.array([[name == "cat"] for name in names], dtype=float)) == 0
    assert scores.intra_inter_ratio == pytest.approx(distances[same].mean() / distances[~same].mean(), abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([None] * 6, "the data has no categories"),
        (["a"] * 6, "all labelled rows are of one category, 'a'"),
        (["a", "a", None, None, "a", "a"], "all labelled rows are of one category, 'a'"),
        (list("abcdef"), "every category has a single row"),
        (list("aabcde"), "'a' is the only category of more than one row"),
    ],
)
def test_categories_that_tell_nothing_apart(labels, reason):
    rows = category_rows(labels)
    assert (rows.scored, rows.reason) == (0, reason)
    scores = cluster_scores(space(X[:6]), labels, GROUPS[:6], 0)
    assert {*vars(scores).values()} == {None}
    sentences = uncategorised(rows, scored(labels), [])
    assert [sentence.partition(";")[0] for sentence in sentences] == (
        [] if labels == [None] * 6 else [f"categories are not scored: {reason}"]
    )


def test_few_labelled_groups_have_a_silhouette_and_no_accuracy():
    labels = ["a", "a", "b", "b"] + [None] * (N - 4)
    scores = cluster_scores(space(X), labels, GROUPS, 0)
    assert scores.silhouette == pytest.approx(silhouette_score(X[:4], labels[:4]), abs=1e-12)
    assert scores.knn_accuracy is None


def test_rows_left_out_of_the_categories_are_named():
    labels = long_tailed()
    described = type("Space", (), {"knn_accuracy": 0.5})
    assert uncategorised(category_rows(labels), scored(labels), [described]) == [
        "categories are scored on 57 of 60 rows: 2 without a label (s20, s21) and 1 alone in its category (s7)"
    ]
    described.knn_accuracy = None
    assert uncategorised(category_rows(["a", "b"] * 30), scored(["a", "b"] * 30), [described]) == [
        "5-NN accuracy is not measured: too few groups have a category for five folds of them"
    ]
    assert named(IDS[:7]) == "s0, s1, s2, s3, s4 and 2 more"


# --- rows without a direction


@pytest.mark.parametrize(("source", "target"), [([5], []), ([], [5]), ([5, 9], [9, 30])])
def test_rows_of_zeros_have_no_cosine(source, target):
    x, y = X.copy(), Y.copy()
    x[source], y[target] = 0, 0
    kept = np.delete(np.arange(N), [*{*source, *target}])
    reference = spearmanr(pdist(x[kept], "cosine"), pdist(y[kept], "cosine")).statistic
    assert cosine_spearman(space(x), space(y)) == pytest.approx(reference, abs=1e-9)


def test_without_rows_of_zeros_nothing_is_left_out():
    reference = spearmanr(pdist(X, "cosine"), pdist(Y, "cosine")).statistic
    assert cosine_spearman(space(X), space(Y)) == pytest.approx(reference, abs=1e-12)


def test_rows_that_all_point_one_way_have_no_correlation():
    column = abs(X[:, :1]) + 1
    assert cosine_spearman(space(column), space(Y)) is None
    column[3] = 0
    assert cosine_spearman(space(column), space(Y)) is None
    zeros = np.zeros((N, 4))
    zeros[:2] = 1
    assert cosine_spearman(space(X), space(zeros)) is None


def test_rows_of_zeros_are_named():
    x = X.copy()
    x[5] = 0
    y = Y.copy()
    y[[7, 8]] = 0
    assert zero_rows([space(x), space(y, "target"), space(X)], scored([None] * N)) == [
        "source a final flat: 1 row is all zeros (s5): cosine distances are measured without it",
        "target a final flat: 2 rows are all zeros (s7, s8): cosine distances are measured without them",
    ]
    drawn = SampleTable(IDS, [None] * N, GROUPS, {}, one_of_each=[0, 5, 9])
    assert zero_rows([space(x, one_of_each=[0, 5, 9])], drawn) == [
        "source a final flat: 1 row is all zeros (s5): cosine distances are measured without it"
    ]


def test_correlations_that_were_not_made_are_reported():
    pair = type("Pair", (), {"source": 0, "target": 1, "spearman_cosine": None, "pearson": 0.5})
    assert no_cosines([space(X), space(Y, "target")], [pair]) == [
        "a final flat -> a final flat: Spearman of cosine distances is not measured: in one of the two, all distances "
        "are the same"
    ]


def test_a_dimension_that_was_not_estimated_says_why():
    values = np.zeros((N, 3))
    values[:10] = X[:10, :3]
    size = dimensions(space(values))
    assert size.mle is None
    assert size.twonn is not None
    assert no_dimensions(space(values), size) == [
        "a final flat: dimension by MLE is not measured: it has 11 distinct rows: mle_dimension wants at least 21 at "
        "k=20"
    ]


def test_attributes_that_some_rows_have():
    rows = SampleTable(IDS, [None] * N, GROUPS, {"x": torch.arange(N).double(), "y": torch.full((N,), torch.nan)})
    rows.attributes["y"][:55] = 1.0
    assert partly_measured(["x", "y"], rows) == ["attribute y is measured on the 55 of 60 rows that have it"]
