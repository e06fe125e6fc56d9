import numpy as np
import pytest
import torch

from foresight_cli.metrics import linear_cka, partial_cka
from tests.refusal import refusal


def u_centred(values):
    """Return Szekely and Rizzo's U-centred Gram matrix, from the definition."""
    gram = values @ values.T
    n = len(gram)
    np.fill_diagonal(gram, 0)
    rows = gram.sum(axis=1)
    centred = gram - rows / (n - 2) - rows[:, None] / (n - 2) + gram.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(centred, 0)
    return centred


def doubly_centred(values):
    values = values - values.mean(axis=0)
    return values @ values.T


def residual_correlation(x, y, confounder, centring):
    """Regress the matrices of x and y on that of the confounder, and correlate the residuals."""
    a, b, c = (centring(values).ravel() for values in (x, y, confounder))
    a, b = (values - c * (values @ c) / (c @ c) for values in (a, b))
    return a @ b / np.sqrt((a @ a) * (b @ b))


def test_iris_given_its_label(oracles, iris, kind):
    expected = oracles["C_iris_cols01_vs_23"]["partial_debiased_cka_given_label"]
    x, labels = iris
    assert partial_cka(kind(x[:, :2]), kind(x[:, 2:]), labels) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("debiased", "centring"), [(True, u_centred), (False, doubly_centred)])
@pytest.mark.parametrize("d", [3, 90])
def test_equal_to_the_residuals_of_the_gram_matrices(debiased, centring, d):
    rng = np.random.default_rng(0)
    confounder = rng.standard_normal((40, 4))
    x = rng.standard_normal((40, d)) + confounder[:, :1] * 2
    y = rng.standard_normal((40, 5)) + x[:, :1] - confounder[:, :1] * 3
    expected = residual_correlation(x, y, confounder, centring)
    assert partial_cka(x, y, confounder, debiased=debiased) == pytest.approx(expected, rel=1e-10)


def test_labels_are_one_column_each_however_they_come(iris):
    x, codes = iris
    x, y = x[:, :2], x[:, 2:]
    expected = partial_cka(x, y, np.eye(3)[codes])
    words = [("setosa", "versicolor", "virginica")[code] for code in codes]
    for labels in (codes, torch.tensor(codes), codes.tolist(), words, tuple(words), [(w, 1) for w in words]):
        assert partial_cka(x, y, labels) == pytest.approx(expected, rel=1e-12)
    assert partial_cka(x, y, np.eye(3)[codes].tolist()) == pytest.approx(expected, rel=1e-12)
    numbers = codes[:, None].astype(float)
    assert partial_cka(x, y, numbers) == pytest.approx(residual_correlation(x, y, numbers, u_centred), rel=1e-10)
    assert partial_cka(x, y, numbers) != pytest.approx(expected, abs=1e-3)


def test_spaces_that_share_only_the_label_share_nothing_given_it():
    values = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 3, 150)
        x, y = (4 * np.eye(3)[labels] + rng.standard_normal((150, 3)) for _ in range(2))
        values.append((linear_cka(x, y), partial_cka(x, y, labels)))
    plain, partial = np.mean(values, axis=0)
    assert plain > 0.6
    assert partial == pytest.approx(0, abs=4 * np.std([p for _, p in values]) / np.sqrt(20))


def test_an_unrelated_confounder_takes_out_nothing(g1):
    x, y = g1
    confounder = np.random.default_rng(1).standard_normal((200, 3))
    assert partial_cka(x, y, confounder) == pytest.approx(linear_cka(x, y), abs=1e-3)


def test_refusals():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
    assert refusal(partial_cka, x[:3], y[:3], [0, 0, 1]) == "x has 3 rows: partial_cka wants at least 4"
    assert refusal(partial_cka, x, np.ones((6, 2)), [0, 0, 0, 1, 1, 1]) == (
        "y is constant: all its 6 rows are equal, and partial_cka wants rows that vary"
    )
    left = "are left to compare; leave given out or give another"
    assert refusal(partial_cka, x, y, 5 * x[:, ::-1] + 1) == (
        f"given has the distances of x, up to scale (their CKA is 1): no differences of x {left}"
    )
    assert refusal(partial_cka, x, y, y) == (
        f"given has the distances of y, up to scale (their CKA is 1): no differences of y {left}"
    )
    assert refusal(partial_cka, x, y, x[:5]) == (
        "given has 5 rows and x has 6: partial_cka wants the same samples in the same order"
    )
    assert refusal(partial_cka, x, y, np.ones((6, 2))) == (
        "given is constant: all its 6 rows are equal, and partial_cka wants rows that vary"
    )
    assert refusal(partial_cka, x, y, np.eye(6)) == (
        "given has rows that are all equally far apart: partial_cka wants distances that differ"
    )
    assert refusal(partial_cka, x, y, [[0.0], [1.0], [np.nan], [0.0], [0.0], [1.0]]) == (
        "given has NaN or Inf in row 2: partial_cka wants finite numbers"
    )
    assert refusal(partial_cka, x, y, torch.zeros(6, 1, 1)) == (
        "given has shape [6, 1, 1]: partial_cka wants [n, d], one row a sample"
    )
    assert refusal(partial_cka, x, y, "aab") == "given has 3 entries for 6 rows"
    assert refusal(partial_cka, x, y, ["a", "a", None, "b", "b", "b"]) == "given has no value in row 2"
    assert refusal(partial_cka, x, y, "aaaaaa") == (
        "given has 1 different label: there is nothing to take out, use linear_cka"
    )
    assert refusal(partial_cka, x, y, x[:, 0]) == (
        "given has 6 different labels in 6 rows: wanted labels that repeat, "
        "or a matrix [n, d] (numbers: given[:, None])"
    )
