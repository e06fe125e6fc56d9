"""Tests of every measure on degenerate data: a result that is known in advance, or an exact error message."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from foresight_cli import metrics as m
from foresight_cli.errors import ForesightError
from tests.refusal import refusal

N = 24
FEW = {"minimum_rows_per_dimension": 0}


@dataclass(frozen=True)
class Measure:
    """A public measure of (x, y, labels).

    Attributes:
        of: the call, which returns a number.
        least: smallest number of rows.
        range: range of its values.
        exact: True if every row once and every row twice give the same value.
        labels: True if it uses the labels.
        answers: the results of cases that differ from the common one of `expected`: a number, a message, the name of a
            case with the same result, or None for any value within the range.
    """

    of: Callable[[np.ndarray, np.ndarray, np.ndarray], float]
    least: int
    range: tuple[float, float] = (-1.0, 1.0)
    exact: bool = False
    labels: bool = False
    answers: dict[str, float | str | None] = field(default_factory=dict)


EQUAL = "x has rows that are all equally far apart: a correlation of distances is 0/0 there"
WITHIN = "x has equal rows within every label: nothing is left without label means"
ALL_DIFFER = "labels has 24 different values for 24 rows: wanted labels that repeat"
SCALE_FREE = {"one massive feature": "plain"}

MEASURES = {
    "linear_cka": Measure(lambda x, y, _: m.linear_cka(x, y), 4),
    "rbf_cka": Measure(lambda x, y, _: m.rbf_cka(x, y), 4),
    "minibatch_cka": Measure(lambda x, y, _: m.minibatch_cka(x, y, batch_size=8), 4),
    "debiased_cka_standard_error": Measure(lambda x, y, _: m.debiased_cka_standard_error(x, y), 5, (0, 1)),
    "cknna": Measure(
        lambda x, y, _: m.cknna(x, y, k=8, centred=True),
        4,
        answers={
            "a constant matrix": f"x is zero in rows {', '.join(map(str, range(10)))} and 14 more: "
            "cosine distance is undefined there",
            # On a line all rows of one side are equally near, and random ones of them are used.
            "one massive feature": None,
            "constant rows": None,
        },
    ),
    "partial_cka": Measure(
        lambda x, y, labels: m.partial_cka(x, y, labels),
        4,
        labels=True,
        answers={
            "one label": "given has 1 different label: there is nothing to take out, use linear_cka",
            "a label for every row": "given has 24 different labels in 24 rows: wanted labels that repeat, "
            "or a matrix [n, d] (numbers: given[:, None])",
        },
    ),
    "deconfounded_cka": Measure(
        lambda x, y, labels: m.deconfounded_cka(x, y, labels),
        2,
        labels=True,
        answers={"a constant matrix": WITHIN, "one label": None, "a label for every row": ALL_DIFFER},
    ),
    "deconfounded": Measure(
        # The share of the variance that is left without the label means.
        lambda x, _, labels: float(m.deconfounded(x, labels).square().sum()) / ((x - x.mean(axis=0)) ** 2).sum(),
        2,
        exact=True,
        labels=True,
        answers={"a constant matrix": WITHIN, "one label": 1.0, "a label for every row": ALL_DIFFER},
    ),
    "rsa": Measure(lambda x, y, _: m.rsa(x, y), 3, answers={"a constant matrix": EQUAL}),
    "mantel_test": Measure(
        lambda x, y, _: m.mantel_test(x, y, permutations=9).statistic, 3, answers={"a constant matrix": EQUAL}
    ),
    # Ties are random: any of the equal rows can be a neighbour.
    "neighborhood": Measure(
        lambda x, y, _: m.neighborhood(x, y, k=5).recall, 3, (0, 1), answers={"a constant matrix": None}
    ),
    "procrustes_disparity": Measure(lambda x, y, _: m.procrustes_disparity(x, y), 2, (0, 1), exact=True),
    "procrustes_distance": Measure(lambda x, y, _: m.procrustes_distance(x, y), 2, (0, 2), exact=True),
    "angular_procrustes": Measure(lambda x, y, _: m.angular_procrustes(x, y), 2, (0, math.pi / 2), exact=True),
    "linear_probe": Measure(
        lambda x, y, _: m.linear_probe(x, y).r2, 4, answers={"a constant matrix": 0.0, **SCALE_FREE}
    ),
    "fit_ridge": Measure(
        # The share of the variance that the map predicts.
        lambda x, y, _: float(
            ((m.fit_ridge(x, y).predict(x).numpy() - y.mean(axis=0)) ** 2).sum() / y.var(axis=0).sum() / N
        ),
        3,
        (0, 1),
        answers={"a constant matrix": 0.0, **SCALE_FREE},
    ),
    "cca": Measure(lambda x, y, _: m.cca(x, y, **FEW).mean, 2, (0, 1), exact=True, answers=SCALE_FREE),
    "svcca": Measure(lambda x, y, _: m.svcca(x, y, **FEW).mean, 2, (0, 1), exact=True),
    # The weights depend on the scale, the correlations do not.
    "pwcca": Measure(
        lambda x, y, _: m.pwcca(x, y, **FEW).x, 2, (0, 1), exact=True, answers={"one massive feature": None}
    ),
    "mle_dimension": Measure(
        lambda x, *_: m.mle_dimension(x, k=5),
        2,
        (0, math.inf),
        exact=True,
        answers={"a constant matrix": "x has 1 distinct rows: mle_dimension wants at least 6 at k=5"},
    ),
    "twonn_dimension": Measure(
        lambda x, *_: m.twonn_dimension(x),
        2,
        (0, math.inf),
        exact=True,
        answers={"a constant matrix": "x has 1 distinct rows: twonn_dimension wants at least 3 at k=2"},
    ),
    "participation_ratio": Measure(
        lambda x, *_: m.participation_ratio(x), 2, (1, 3), exact=True, answers={"one column": 1.0}
    ),
    "effective_rank": Measure(lambda x, *_: m.effective_rank(x), 2, (1, 3), exact=True, answers={"one column": 1.0}),
    "pca_dimension": Measure(lambda x, *_: m.pca_dimension(x), 2, (1, 3), exact=True, answers={"one column": 1}),
    "silhouette": Measure(
        lambda x, _, labels: m.silhouette(x, labels),
        3,
        labels=True,
        answers={
            "a constant matrix": 0.0,
            "one label": "labels has 1 different values for 24 rows: silhouette wants 2 to n - 1",
            "a label for every row": "labels has 24 different values for 24 rows: silhouette wants 2 to n - 1",
        },
    ),
    "knn_accuracy": Measure(
        lambda x, _, labels: m.knn_accuracy(x, labels.tolist(), k=3, folds=4),
        3,
        (0, 1),
        labels=True,
        answers={
            "a constant matrix": 1 / 3,
            "one label": "labels has 1 different value: knn_accuracy wants at least 2",
            "a label for every row": "labels has 1 rows of 0: 4 stratified folds want at least 4 of each",
        },
    ),
    "duplicate_groups": Measure(
        lambda x, *_: len(m.duplicate_groups(x, tolerance=0)),
        1,
        (0, 12),
        answers={"a constant matrix": 1, "duplicates": 12, "one row": 0, "plain": 0},
    ),
    "dominant_features": Measure(
        lambda x, *_: max(m.dominant_features(x).shares),
        2,
        (0.2, 1),
        exact=True,
        answers={"constant rows": 1 / 3, "one column": 1.0},
    ),
}


def data():
    rng = np.random.default_rng(0)
    labels, shared = np.arange(N) % 3, rng.standard_normal((N, 2))
    x = np.hstack([shared, rng.standard_normal((N, 1))]) + np.eye(3)[labels]
    y = shared @ rng.standard_normal((2, 4)) + rng.standard_normal((N, 4)) + rng.standard_normal((3, 4))[labels]
    return x, y, labels


def with_value(x, value):
    changed = x.copy()
    changed[3, 1] = value
    return changed


CASES = {
    "plain": lambda x, y, labels: (x, y, labels),
    "constant columns": lambda x, y, labels: (np.hstack([x, np.full((N, 2), 0.1)]), y, labels),
    "a constant matrix": lambda x, y, labels: (np.full((N, 3), 0.1), y, labels),
    "constant rows": lambda x, y, labels: (np.repeat(x[:, :1], 3, axis=1), y, labels),
    "distinct": lambda x, y, labels: (x[:12], y[:12], labels[:12]),
    "duplicates": lambda x, y, labels: tuple(np.repeat(values[:12], 2, axis=0) for values in (x, y, labels)),
    "one row": lambda x, y, labels: (x[:1], y[:1], labels[:1]),
    "one column": lambda x, y, labels: (x[:, :1], y, labels),
    "NaN": lambda x, y, labels: (with_value(x, np.nan), y, labels),
    "Inf": lambda x, y, labels: (with_value(x, -np.inf), y, labels),
    "one label": lambda x, y, labels: (x, y, np.zeros(N, dtype=int)),
    "a label for every row": lambda x, y, labels: (x, y, np.arange(N)),
    "a huge offset": lambda x, y, labels: (x + 1e6, y - 1e6, labels),
    "one massive feature": lambda x, y, labels: (x * [1e7, 1, 1], y, labels),
}


def expected(name, measure, case):
    """Return the expected result of ``measure`` for ``case``."""
    if case in measure.answers:
        return measure.answers[case]
    common = {
        "constant columns": "plain",
        "a constant matrix": f"x is constant: all its 24 rows are equal, and {name} wants rows that vary",
        "constant rows": "one column",
        "duplicates": "distinct" if measure.exact else None,
        "one row": f"x has 1 rows: {name} wants at least {measure.least}",
        "NaN": f"x has NaN or Inf in row 3: {name} wants finite numbers",
        "Inf": f"x has NaN or Inf in row 3: {name} wants finite numbers",
        "one label": None if measure.labels else "plain",
        "a label for every row": None if measure.labels else "plain",
        "a huge offset": "plain",
        "one massive feature": "one column",
    }
    return common.get(case)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", MEASURES)
def test_answer_or_refusal(name, case):
    measure = MEASURES[name]
    wanted, arguments = expected(name, measure, case), CASES[case](*data())
    if isinstance(wanted, str) and wanted not in CASES:
        with pytest.raises(ForesightError) as caught:
            measure.of(*arguments)
        assert str(caught.value) == wanted
        return
    value = measure.of(*arguments)
    low, high = measure.range
    assert low - 1e-12 <= value <= high + 1e-12
    if isinstance(wanted, str):
        wanted = measure.of(*CASES[wanted](*data()))
    if wanted is not None:
        assert value == pytest.approx(wanted, abs=1e-6)


def test_the_table_holds_every_public_measure():
    measures = {name for name in m.__all__ if name.islower()}
    assert measures - set(MEASURES) == {"gram_cka", "grouped_folds"}


def test_functions_that_take_no_rows():
    gram = torch.ones(6, 6, dtype=torch.float64)
    assert refusal(m.gram_cka, gram, gram) == "x has rows that are all equally far apart: debiased CKA is 0/0 there"
    assert refusal(m.grouped_folds, ["a"] * 6, 2, 0) == "all 6 rows are in one group: folds want at least 2 groups"
    assert [len(test) for _, test in m.grouped_folds(range(6), 3, 0)] == [2, 2, 2]


def test_massive_features_are_found():
    """In the last case, where a measure of all columns is one of a single column, the column is flagged."""
    x, y, _ = data()
    massive = x * [1e7, 1, 1]
    assert m.dominant_features(massive).indices == (0,)
    assert m.linear_cka(massive, y) == pytest.approx(m.linear_cka(x[:, :1], y), abs=1e-6)
    even = massive / massive.std(axis=0)
    assert m.dominant_features(even, share=0.34).indices == ()
    assert m.linear_cka(even, y) != pytest.approx(m.linear_cka(x[:, :1], y), abs=5e-3)
