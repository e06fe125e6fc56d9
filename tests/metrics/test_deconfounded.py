import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression

from foresight_cli.metrics import deconfounded, deconfounded_cka, linear_cka, neighborhood, rsa
from tests.refusal import refusal


def test_iris(oracles, iris, kind):
    c, (x, labels) = oracles["C_iris_cols01_vs_23"], iris
    x, y = kind(x[:, :2]), kind(x[:, 2:])
    assert deconfounded_cka(x, y, labels) == pytest.approx(c["within_class_debiased_cka"], rel=1e-6)
    assert deconfounded_cka(x, y, labels, debiased=False) == pytest.approx(c["within_class_biased_cka"], rel=1e-6)


def test_residuals_of_a_regression_on_the_label(iris):
    x, labels = iris
    one_hot = np.eye(3)[labels]
    expected = x - LinearRegression().fit(one_hot, x).predict(one_hot)
    np.testing.assert_allclose(deconfounded(x, labels).numpy(), expected, atol=1e-12)
    words = ["abc"[label] for label in labels]
    assert torch.equal(deconfounded(torch.tensor(x), words), deconfounded(x, labels))


def test_one_label_is_plain_centring(g1):
    x, y = g1
    np.testing.assert_allclose(deconfounded(x, ["a"] * 200).numpy(), x - x.mean(axis=0), atol=1e-12)
    assert deconfounded_cka(x, y, ["a"] * 200) == pytest.approx(linear_cka(x, y), abs=1e-12)


def test_a_lone_label_leaves_a_row_of_zeros_that_adds_nothing(iris):
    x, labels = iris
    more = np.vstack([x, [[9.0, -9, 9, 1]], [[50.0, 1, 2, 3]]])
    names = [*labels.tolist(), "once", "also once"]
    residuals = deconfounded(more, names)
    assert residuals[150:].tolist() == [[0.0] * 4] * 2
    assert torch.equal(residuals[:150], deconfounded(x, labels))
    for debiased in (True, False):
        assert deconfounded_cka(more[:, :2], more[:, 2:], names, debiased=debiased) == deconfounded_cka(
            x[:, :2], x[:, 2:], labels, debiased=debiased
        )


def test_constant_columns_stay_exact_zeros():
    x = np.full((9, 2), 0.1)
    x[:, 1] = np.arange(9)
    labels = [0, 1, 2] * 3
    assert (deconfounded(x, labels)[:, 0] == 0).all()


def test_what_only_the_label_shares_is_gone_for_every_measure():
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 4
    x, y = (6 * rng.standard_normal((4, 8))[labels] + rng.standard_normal((200, 8)) for _ in range(2))
    a, b = deconfounded(x, labels), deconfounded(y, labels)
    assert deconfounded_cka(x, y, labels) == pytest.approx(linear_cka(a, b), rel=1e-12)
    assert linear_cka(x, y) > 0.5
    assert rsa(x, y) > 0.3
    assert neighborhood(x, y).recall > 3 * neighborhood(x, y).expected
    assert abs(linear_cka(a, b)) < 0.03
    assert abs(rsa(a, b)) < 0.03
    assert neighborhood(a, b).recall == pytest.approx(neighborhood(a, b).expected, abs=0.02)


@pytest.mark.parametrize("size", [2, 10])
def test_small_labels_raise_unrelated_spaces_as_documented(size):
    values = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x, y = (rng.standard_normal((120, 200)) for _ in range(2))
        values.append(deconfounded_cka(x, y, np.repeat(np.arange(120 // size), size)))
    a = 200 / (120 * (size - 1))
    assert np.mean(values) == pytest.approx(a / (1 + a), abs=0.02)


def test_refusals():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
    assert refusal(deconfounded, x, range(6)) == "labels has 6 different values for 6 rows: wanted labels that repeat"
    assert refusal(deconfounded_cka, x, y, range(6)) == refusal(deconfounded, x, range(6))
    assert refusal(deconfounded, x, "aab") == "labels has 3 entries for 6 rows"
    assert refusal(deconfounded, x, ["a", None, "a", "a", "b", "b"]) == "labels has no value in row 1"
    assert refusal(deconfounded, x[:1], "a") == "x has 1 rows: deconfounded wants at least 2"
    gone = "has equal rows within every label: nothing is left without label means"
    same = np.array([1.0, 1, 1, 5, 5, 5])[:, None] / 3
    assert refusal(deconfounded, same, "aaabbb") == f"x {gone}"
    assert refusal(deconfounded_cka, x, same, "aaabbb") == f"y {gone}"
    assert refusal(deconfounded_cka, x, y, "aaabcd") == (
        "labels has 3 rows that share their label: deconfounded_cka wants at least 4"
    )
    assert -1 <= deconfounded_cka(x, y, "aaabcd", debiased=False) <= 1
    assert refusal(deconfounded_cka, x, y[:5], "aaabbb") == (
        "x has 6 rows and y has 5: deconfounded_cka wants the same samples in the same order"
    )
