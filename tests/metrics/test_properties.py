"""Tests of properties: the changes that a measure must ignore, and those that must change it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foresight_cli import metrics as m
from foresight_cli.metrics.distances import RowDistances
from foresight_cli.metrics.neighbors import nearest_neighbors

N = 60


@dataclass(frozen=True)
class Measure:
    """A measure of two spaces with a label per row, and its invariances.

    Attributes:
        of: (x, y, labels) -> a number.
        alike: its value for a space and itself.
        rotation: True if rotating x changes nothing.
        symmetric: True if swapping x and y changes nothing.
        linear: True if invertible linear maps of x change nothing.
    """

    of: Callable[[np.ndarray, np.ndarray, np.ndarray], float]
    alike: float | None = 1.0
    rotation: bool = True
    symmetric: bool = True
    linear: bool = False


def probe(x, y, labels):
    """Return R2 with the labels as folds, which move with the rows, and without reach, which limits each axis."""
    folds = [(np.flatnonzero(labels != label), np.flatnonzero(labels == label)) for label in range(4)]
    return m.linear_probe(x, y, folds=folds, standardize=False, reach=np.inf).r2


FEW = {"minimum_rows_per_dimension": 0}
PAIRS = {
    "linear_cka": Measure(lambda x, y, _: m.linear_cka(x, y)),
    "linear_cka biased": Measure(lambda x, y, _: m.linear_cka(x, y, debiased=False)),
    "rbf_cka": Measure(lambda x, y, _: m.rbf_cka(x, y)),
    "minibatch_cka": Measure(lambda x, y, _: m.minibatch_cka(x, y, batch_size=N)),
    "debiased_cka_standard_error": Measure(lambda x, y, _: m.debiased_cka_standard_error(x, y), alike=0.0),
    "cknna": Measure(lambda x, y, _: m.cknna(x, y, k=15, centred=True), symmetric=False),
    "partial_cka": Measure(lambda x, y, labels: m.partial_cka(x, y, labels)),
    "deconfounded_cka": Measure(lambda x, y, labels: m.deconfounded_cka(x, y, labels)),
    "rsa": Measure(lambda x, y, _: m.rsa(x, y)),
    "rsa pearson": Measure(lambda x, y, _: m.rsa(x, y, correlation="pearson")),
    "rsa kendall": Measure(lambda x, y, _: m.rsa(x, y, correlation="kendall")),
    "mantel_test": Measure(lambda x, y, _: m.mantel_test(x, y, permutations=1).statistic),
    "recall": Measure(lambda x, y, _: m.neighborhood(x, y).recall),
    "jaccard": Measure(lambda x, y, _: m.neighborhood(x, y).jaccard),
    "mrr": Measure(lambda x, y, _: m.neighborhood(x, y).mrr, symmetric=False),
    "procrustes_disparity": Measure(lambda x, y, _: m.procrustes_disparity(x, y), alike=0.0),
    "procrustes_distance": Measure(lambda x, y, _: m.procrustes_distance(x, y), alike=0.0),
    "angular_procrustes": Measure(lambda x, y, _: m.angular_procrustes(x, y), alike=0.0),
    "linear_probe": Measure(probe, alike=None, symmetric=False),
    "cca": Measure(lambda x, y, _: m.cca(x, y, **FEW).mean, linear=True),
    "svcca": Measure(lambda x, y, _: m.svcca(x, y, variance=0.9, **FEW).mean),
    "pwcca": Measure(lambda x, y, _: m.pwcca(x, y, **FEW).x, rotation=False, symmetric=False),
}
SINGLE = {
    "mle_dimension": lambda x, _: m.mle_dimension(x, k=10),
    "twonn_dimension": lambda x, _: m.twonn_dimension(x),
    "participation_ratio": lambda x, _: m.participation_ratio(x),
    "effective_rank": lambda x, _: m.effective_rank(x),
    "pca_dimension": lambda x, _: m.pca_dimension(x),
    "silhouette": lambda x, labels: m.silhouette(x, labels),
    # With two labels and five votes there is no tie, which the order of the labels would decide.
    "knn_accuracy": lambda x, labels: m.knn_accuracy(x, labels % 2, folds=N),
}
every_pair = pytest.mark.parametrize("measure", PAIRS.values(), ids=PAIRS)
every_single = pytest.mark.parametrize("measure", SINGLE.values(), ids=SINGLE)
some_seeds = given(st.integers(0, 2**32 - 1))
few = settings(max_examples=5, deadline=None, derandomize=True)


def spaces(seed, d1=7, d2=9):
    """Return two spaces that share three directions, and labels of 15 rows each."""
    rng = np.random.default_rng(seed)
    z, labels = rng.standard_normal((N, 3)), np.arange(N) % 4
    x = z @ rng.standard_normal((3, d1)) + rng.standard_normal((N, d1)) + rng.standard_normal((4, d1))[labels]
    y = z @ rng.standard_normal((3, d2)) + rng.standard_normal((N, d2)) + rng.standard_normal((4, d2))[labels]
    return x, y, labels, rng


def rotation_of(rng, d):
    return np.linalg.qr(rng.standard_normal((d, d)))[0]


def test_no_public_measure_is_forgotten():
    named = {name.split()[0] for name in (*PAIRS, *SINGLE)} - {"recall", "jaccard", "mrr"} | {"neighborhood"}
    elsewhere = {"deconfounded", "dominant_features", "duplicate_groups", "fit_ridge", "gram_cka", "grouped_folds"}
    functions = {name for name in m.__all__ if callable(getattr(m, name)) and not isinstance(getattr(m, name), type)}
    assert {name for name in functions if name.islower()} <= named | elsewhere


@every_pair
@few
@some_seeds
def test_rotation_scale_and_shift(measure, seed):
    x, y, labels, rng = spaces(seed)
    value = measure.of(x, y, labels)
    assert measure.of(3 * x - 7, y, labels) == pytest.approx(value, abs=1e-10)
    assert measure.of(x, y / 3 + rng.standard_normal(9), labels) == pytest.approx(value, abs=1e-10)
    if measure.rotation:
        turned = 2 * x @ rotation_of(rng, 7) + 1, 5 * y @ rotation_of(rng, 9) - 2
        assert measure.of(*turned, labels) == pytest.approx(value, abs=1e-10)


@every_pair
@few
@some_seeds
def test_rows_in_another_order(measure, seed):
    x, y, labels, rng = spaces(seed)
    order = rng.permutation(N)
    assert measure.of(x[order], y[order], labels[order]) == pytest.approx(measure.of(x, y, labels), abs=1e-10)
    # Permuting the rows of only one side gives another pair of spaces.
    assert measure.of(x[order], y, labels) != pytest.approx(measure.of(x, y, labels), abs=1e-6)


@every_pair
def test_swapping_the_sides(measure):
    x, y, labels, _ = spaces(1)
    forward, back = measure.of(x, y, labels), measure.of(y, x, labels)
    assert (back == pytest.approx(forward, abs=1e-12)) == measure.symmetric


@every_pair
@pytest.mark.parametrize("d", [3, 100])
def test_a_space_and_itself(measure, d):
    x, _, labels, _ = spaces(0, d1=d)
    if measure.alike is not None:
        assert measure.of(x, x, labels) == pytest.approx(measure.alike, abs=1e-7)
    else:
        assert measure.of(x, x, labels) < 1


@every_pair
def test_only_cca_ignores_invertible_linear_maps(measure):
    x, y, labels, rng = spaces(2)
    stretched = x @ (rotation_of(rng, 7) * [8, 4, 2, 1, 1, 0.5, 0.1])
    change = abs(measure.of(stretched, y, labels) - measure.of(x, y, labels))
    assert change < 1e-10 if measure.linear else change > 1e-3


def test_the_axes_matter_to_pwcca_alone():
    x, y, _, rng = spaces(0)
    turned = x @ rotation_of(rng, 7)
    assert m.pwcca(turned, y, **FEW).x != pytest.approx(m.pwcca(x, y, **FEW).x, abs=1e-4)
    assert m.pwcca(turned, y, **FEW).y == pytest.approx(m.pwcca(x, y, **FEW).y, abs=1e-10)


@every_pair
def test_float32_and_far_from_the_origin(measure):
    x, y, labels, _ = spaces(3)
    value = measure.of(x, y, labels)
    assert measure.of(x.astype(np.float32), torch.tensor(y).float(), labels) == pytest.approx(value, abs=1e-4)
    assert measure.of(x + 1e6, y - 1e6, labels) == pytest.approx(value, abs=1e-6)


@every_single
@settings(few, max_examples=2)
@some_seeds
def test_one_space(measure, seed):
    x, _, labels, rng = spaces(seed, d1=12)
    value, order = measure(x, labels), rng.permutation(N)
    assert measure(3 * x @ rotation_of(rng, 12) - 7, labels) == pytest.approx(value, rel=1e-8)
    assert measure(x[order], labels[order]) == pytest.approx(value, rel=1e-8)
    assert measure(torch.tensor(x).float(), labels) == pytest.approx(value, rel=1e-4)
    assert measure(x + 1e6, labels) == pytest.approx(value, rel=1e-5)


@few
@given(st.integers(6, 40), st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_cknna_of_all_neighbours_is_debiased_cka(n, d, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, d)), rng.standard_normal((n, 5))
    unit = [values / np.linalg.norm(values, axis=1, keepdims=True) for values in (x, y)]
    assert m.cknna(x, y, k=n - 1) == pytest.approx(m.linear_cka(*unit), abs=1e-10)


SEEDED = {
    "rsa": lambda x, y, seed: m.rsa(x, y, max_pairs=50, seed=seed),
    "mantel_test": lambda x, y, seed: m.mantel_test(x, y, permutations=9, seed=seed).null_mean,
    "minibatch_cka": lambda x, y, seed: m.minibatch_cka(x, y, batch_size=12, seed=seed),
    "neighborhood": lambda x, y, seed: m.neighborhood(np.sign(x[:, :2]), y, seed=seed).recall,
    "neighborhood of some": lambda x, y, seed: m.neighborhood(x, y, queries=20, seed=seed).recall,
    "cknna": lambda x, y, seed: m.cknna(np.sign(x[:, :2]), y, k=20, seed=seed),
    "linear_probe": lambda x, y, seed: m.linear_probe(x, y, seed=seed).r2,
    "knn_accuracy": lambda x, _, seed: m.knn_accuracy(x, np.arange(N) % 4, seed=seed),
    "grouped_folds": lambda _, __, seed: m.grouped_folds(range(N), 5, seed)[0][1].tolist(),
}


@pytest.mark.parametrize("draw", SEEDED.values(), ids=SEEDED)
def test_a_seed_repeats_and_another_differs(draw):
    x, y, _, _ = spaces(0)
    assert draw(x, y, 7) == draw(x, y, 7)
    assert len({str(draw(x, y, seed)) for seed in range(6)}) > 1


def test_two_constant_categories_do_not_agree_by_the_order_of_their_rows():
    """Two spaces of only two points each: all neighbours tie, and k of the m - 1 others are drawn."""
    points = np.repeat([[0.0, 1], [5, 2]], 40, axis=0)
    results = [m.neighborhood(points, 2 * points[:, ::-1], k=10, seed=seed) for seed in range(5)]
    assert np.mean([result.recall for result in results]) == pytest.approx(10 / 39, abs=0.02)
    assert len({result.recall for result in results}) > 1


def test_a_row_is_never_its_own_neighbour():
    rows = torch.tensor(np.repeat(np.random.default_rng(0).standard_normal((8, 3)), 5, axis=0))
    for distance in ("euclidean", "cosine", "correlation"):
        neighbors = nearest_neighbors(RowDistances(rows, distance, "x"), 4, np.random.default_rng(0))
        numbers = torch.arange(40)
        assert not (neighbors.indices == numbers[:, None]).any()
        # The four copies of each row, and nothing else.
        assert (neighbors.indices // 5 == numbers[:, None] // 5).all()
