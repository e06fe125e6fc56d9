import numpy as np
import pytest

from foresight_cli.metrics import knn_accuracy, silhouette
from tests.refusal import refusal


def test_oracles(oracles, iris, digits, kind):
    s = oracles["S"]
    assert silhouette(kind(iris[0]), iris[1]) == pytest.approx(s["iris_silhouette"], rel=1e-6)
    assert knn_accuracy(kind(iris[0]), iris[1], folds=150) == pytest.approx(s["iris_loo_5nn_acc"], rel=1e-9)
    assert silhouette(kind(digits[0]), digits[1]) == pytest.approx(s["digits_silhouette"], rel=1e-6)


def test_labels_may_be_words(iris):
    words = [("setosa", "versicolor", "virginica")[code] for code in iris[1]]
    assert silhouette(iris[0], words) == silhouette(iris[0], iris[1])
    assert knn_accuracy(iris[0], words) == knn_accuracy(iris[0], iris[1])


def test_far_from_the_origin(iris):
    assert silhouette(iris[0] + 1e7, iris[1]) == pytest.approx(silhouette(iris[0], iris[1]), abs=1e-6)


def test_groups_take_the_twins_out_of_the_training_part():
    rng = np.random.default_rng(0)
    x = np.repeat(rng.standard_normal((60, 20)), 2, axis=0)
    labels = np.repeat(rng.integers(0, 4, 60), 2)
    assert knn_accuracy(x, labels, k=1) > 0.75
    assert knn_accuracy(x, labels, k=1, groups=np.repeat(np.arange(60), 2)) < 0.4


def test_seeds_draw_the_folds(digits):
    x, y = digits[0][:300], digits[1][:300]
    assert knn_accuracy(x, y, seed=3) == knn_accuracy(x, y, seed=3)
    assert len({knn_accuracy(x, y, seed=seed) for seed in range(5)}) > 1


def test_refusals():
    x = np.random.default_rng(0).standard_normal((6, 3))
    message = "different values for 6 rows: silhouette wants 2 to n - 1"
    assert refusal(silhouette, x, [1] * 6) == f"labels has 1 {message}"
    assert refusal(silhouette, x, range(6)) == f"labels has 6 {message}"
    assert refusal(silhouette, x, [1, 2]) == "labels has 2 entries for 6 rows"
    assert refusal(knn_accuracy, x, "aaaaaa") == "labels has 1 different value: knn_accuracy wants at least 2"
    assert refusal(knn_accuracy, x, "aaaabb", folds=3) == (
        "labels has 2 rows of 'b': 3 stratified folds want at least 3 of each"
    )
    assert refusal(knn_accuracy, x, "aaabbb", folds=7) == "folds=7: wanted 2 to 6 for 6 rows"
    assert refusal(knn_accuracy, x, "aaabbb", folds=3) == ("k=5: wanted 1 to 4, the rows of the smallest training part")
