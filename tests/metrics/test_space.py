import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from foresight_cli.metrics import (
    debiased_cka_standard_error,
    effective_rank,
    knn_accuracy,
    linear_cka,
    linear_probe,
    mantel_test,
    mle_dimension,
    neighborhood,
    participation_ratio,
    pca_dimension,
    rbf_cka,
    rsa,
    silhouette,
    twonn_dimension,
)
from foresight_cli.metrics import space as module
from foresight_cli.metrics.space import Space
from tests.refusal import refusal

PAIRS = {
    "linear_cka": linear_cka,
    "rbf_cka": rbf_cka,
    "error": debiased_cka_standard_error,
    "rsa": rsa,
    "cosine": lambda x, y: rsa(x, y, distance="cosine"),
    "mantel": lambda x, y: mantel_test(x, y, permutations=19).p_value,
    "recall": lambda x, y: neighborhood(x, y, k=5).recall,
    "probe": lambda x, y: linear_probe(x, y).r2,
    "plain probe": lambda x, y: linear_probe(x, y, standardize=False, reach=np.inf).r2,
}
ALONE = {
    "mle": mle_dimension,
    "twonn": twonn_dimension,
    "pca": pca_dimension,
    "rank": effective_rank,
    "ratio": participation_ratio,
    "silhouette": lambda x: silhouette(x, [i % 3 for i in range(len(x))]),
    "accuracy": lambda x: knn_accuracy(x, [i % 3 for i in range(len(x))]),
}


@pytest.fixture(params=[20, 200], ids=["narrow", "wide"])
def pair(request, make_g1):
    return make_g1(n=90, d1=request.param, d2=request.param + 7)


@pytest.mark.parametrize("measure", PAIRS.values(), ids=PAIRS)
def test_a_space_gives_the_result_of_its_rows(pair, measure):
    x, y = pair
    assert measure(Space(x), Space(y)) == pytest.approx(measure(x, y), rel=1e-9)


@pytest.mark.parametrize("measure", ALONE.values(), ids=ALONE)
def test_a_single_space_gives_the_result_of_its_rows(pair, measure):
    assert measure(Space(pair[0])) == pytest.approx(measure(pair[0]), rel=1e-9)


def test_no_measure_changes_the_shared_results(pair):
    x, y = (Space(values) for values in pair)
    kept = [torch.clone(part) for side in (x, y) for part in (side.values, side.centred, side.gram, side.coordinates)]
    for measure in PAIRS.values():
        measure(x, y)
    for measure in ALONE.values():
        measure(x)
    now = [part for side in (x, y) for part in (side.values, side.centred, side.gram, side.coordinates)]
    assert all(torch.equal(a, b) for a, b in zip(kept, now, strict=True))


def test_what_it_keeps(pair):
    x = pair[0]
    space, centred = Space(x), x - x.mean(axis=0)
    np.testing.assert_allclose(space.gram.numpy(), centred @ centred.T, atol=1e-10)
    np.testing.assert_allclose(space.distances().condensed().numpy(), pdist(x), rtol=1e-10)
    singular = np.linalg.svd(centred, compute_uv=False) ** 2
    np.testing.assert_allclose(space.eigenvalues.numpy(), singular, atol=1e-9 * singular[0])
    axes = space.coordinates
    assert axes.shape == (90, min(x.shape))
    np.testing.assert_allclose(axes @ axes.T, centred @ centred.T, atol=1e-9)
    np.testing.assert_allclose(axes.square().sum(dim=0).numpy(), singular, atol=1e-9 * singular[0])
    np.testing.assert_allclose(space.eigenvalues, Space(x).eigenvalues, atol=1e-9 * singular[0])


def test_beyond_the_row_limit_nothing_changes(pair, monkeypatch):
    x, y = pair
    kept = [measure(x, y) for measure in PAIRS.values()] + [measure(x) for measure in ALONE.values()]
    for name in ("space", "cka", "cka_error", "clusters"):
        monkeypatch.setattr(f"foresight_cli.metrics.{name}.GRAM_ROWS", 10)
    tiled = [measure(x, y) for measure in PAIRS.values()] + [measure(x) for measure in ALONE.values()]
    assert tiled == pytest.approx(kept, rel=1e-9)
    assert module.GRAM_ROWS == 10


def test_refusals():
    assert refusal(Space, np.ones(3)) == "x has shape [3]: a space wants [n, d], one row a sample"
    assert refusal(linear_cka, Space(np.ones((9, 2))), Space(np.eye(9))) == (
        "x is constant: all its 9 rows are equal, and linear_cka wants rows that vary"
    )
    assert refusal(linear_cka, Space(np.eye(3)), Space(np.eye(3))) == "x has 3 rows: linear_cka wants at least 4"
    assert refusal(rsa, Space(np.eye(5)), Space(np.eye(6))) == (
        "x has 5 rows and y has 6: rsa wants the same samples in the same order"
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same_numbers(pair):
    x, y = (torch.tensor(values) for values in pair)
    for measure in PAIRS.values():
        assert measure(x.cuda(), y.cuda()) == pytest.approx(measure(x, y), rel=1e-7)
