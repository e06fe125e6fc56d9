import numpy as np
import pytest

from foresight_cli.metrics import cknna, linear_cka
from tests.refusal import refusal


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def platonic(x, y, k):
    """Compute CKNNA as in the published code, with dense matrices, without its 1e-6."""
    gram_x, gram_y = unit(x) @ unit(x).T, unit(y) @ unit(y).T
    n = len(x)

    def mask(gram):
        gram = gram - 9 * np.eye(n)
        kept = np.zeros((n, n))
        np.put_along_axis(kept, np.argsort(-gram, axis=1)[:, :k], 1, axis=1)
        return kept

    def hsic(a, b):
        a, b = a * (1 - np.eye(n)), b * (1 - np.eye(n))
        cross = a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 * (a @ b).sum() / (n - 2)
        return (a * b.T).sum() + cross

    mask_x, mask_y = mask(gram_x), mask(gram_y)
    xy = hsic(mask_x * mask_y * gram_x, mask_x * mask_y * gram_y)
    return xy / np.sqrt(hsic(mask_x * gram_x, mask_x * gram_x) * hsic(mask_y * gram_y, mask_y * gram_y))


def test_g1(oracles, g1, kind):
    g = oracles["G_G1_cknna_k10_L2rows"]
    x, y = map(kind, g1)
    assert cknna(x, y) == pytest.approx(g["platonic_transpose_convention"], rel=1e-5)
    assert cknna(x, y, k=199) == pytest.approx(g["k199_equals_debiased_cka"], rel=1e-5)


@pytest.mark.parametrize("k", [2, 5, 30, 198])
def test_equal_to_the_published_code(g1, k):
    assert cknna(*g1, k=k) == pytest.approx(platonic(*g1, k), rel=1e-10)


def test_all_neighbours_are_debiased_cka(g1):
    x, y = g1
    assert cknna(x, y, k=199) == pytest.approx(linear_cka(unit(x), unit(y)), rel=1e-12)
    assert cknna(x, y, k=198) == pytest.approx(cknna(x, y, k=199), abs=0.05)


def test_centring_makes_the_origin_irrelevant(g1):
    x, y = g1
    assert cknna(x, y, centred=True) == pytest.approx(platonic(x - x.mean(axis=0), y - y.mean(axis=0), 10), rel=1e-10)
    assert cknna(x + 5, y, centred=True) == pytest.approx(cknna(x, y, centred=True), abs=1e-10)
    assert cknna(x + 5, y) != pytest.approx(cknna(x, y), abs=1e-3)


def test_nearly_symmetric_and_seeded(g1):
    x, y = g1
    assert cknna(x, y) == pytest.approx(cknna(y, x), abs=1e-3)
    assert cknna(x, y) != pytest.approx(cknna(y, x), abs=1e-5)
    tied = np.repeat(x[:40], 5, axis=0)
    assert cknna(tied, y, seed=1) == cknna(tied, y, seed=1)
    assert cknna(tied, y, seed=1) != cknna(tied, y, seed=2)


def test_refusals():
    x = np.random.default_rng(0).standard_normal((8, 3))
    assert refusal(cknna, x, x, k=1) == "k=1: wanted 2 to 7 for 8 rows"
    assert refusal(cknna, x, x, k=8) == "k=8: wanted 2 to 7 for 8 rows"
    assert refusal(cknna, x, np.zeros((8, 2)), k=2) == (
        "y is zero in rows 0, 1, 2, 3, 4, 5, 6, 7: cosine distance is undefined there"
    )
    assert refusal(cknna, np.eye(8), x, k=3) == (
        "cknna is undefined at k=3: the masked HSIC of x with itself is not above 0"
    )
