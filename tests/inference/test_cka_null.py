import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris

from foresight_cli.errors import ForesightError
from foresight_cli.inference.cka_null import cka_permutation_moments, product_moments
from foresight_cli.metrics import linear_cka, rbf_cka
from foresight_cli.metrics.cka import linear_sums

ORACLES = json.loads((Path(__file__).parents[1] / "metrics" / "oracles.json").read_text())
B = ORACLES["B"]


@pytest.fixture(scope="module")
def enumerated():
    """Return biased and debiased CKA of case B under all 120 permutations."""
    x, y = np.array(B["X"]), np.array(B["Y"])
    orders = [list(order) for order in itertools.permutations(range(5))]
    return np.array([[linear_cka(x[o], y, debiased=d) for o in orders] for d in (False, True)])


def test_product_moments_of_the_hand_case():
    moments = product_moments(linear_sums(B["X"], B["Y"], min_rows=4, measure="test"))
    assert moments.mean == pytest.approx(B["perm_mean_tr_KcLc"], rel=1e-12)
    assert moments.sd**2 == pytest.approx(B["perm_var_tr_KcLc"], rel=1e-12)


def test_biased_moments_equal_enumeration(enumerated):
    moments = cka_permutation_moments(B["X"], B["Y"], debiased=False)
    assert moments.mean == pytest.approx(B["perm_mean_biased_cka"], rel=1e-9)
    assert moments.mean == pytest.approx(enumerated[0].mean(), rel=1e-12)
    assert moments.sd == pytest.approx(enumerated[0].std(), rel=1e-12)


def test_debiased_moments_equal_enumeration(enumerated):
    moments = cka_permutation_moments(B["X"], B["Y"])
    assert moments.mean == B["perm_mean_debiased"] == pytest.approx(enumerated[1].mean(), abs=1e-12)
    assert moments.sd == pytest.approx(enumerated[1].std(), rel=1e-12)
    assert moments.sd == np.sqrt(2 / (5 * 2))


def test_the_debiased_moments_hold_for_any_kernel():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
    null = [rbf_cka(x[list(order)], y) for order in itertools.permutations(range(6))]
    moments = cka_permutation_moments(x, y)
    assert np.mean(null) == pytest.approx(0, abs=1e-12)
    assert np.std(null) == pytest.approx(moments.sd, rel=1e-10)


def test_iris_and_isotropic_closed_form():
    x = load_iris().data
    moments = cka_permutation_moments(torch.tensor(x[:, :2]), x[:, 2:], debiased=False)
    c = ORACLES["C_iris_cols01_vs_23"]
    assert moments.mean == pytest.approx(c["perm_mean_biased_cka"], abs=1e-10)
    assert moments.sd == pytest.approx(c["perm_sd_biased_cka"], abs=2e-10)
    rng = np.random.default_rng(0)
    moments = cka_permutation_moments(
        rng.standard_normal((300, 3584)), rng.standard_normal((300, 2048)), debiased=False
    )
    assert moments.mean == pytest.approx(np.sqrt(3584 * 2048 / (3884 * 2348)), abs=1e-3)


def test_refusals():
    with pytest.raises(ForesightError) as caught:
        cka_permutation_moments(np.eye(5), np.eye(5))
    assert str(caught.value) == "x has rows that are all equally far apart: debiased CKA is 0/0 there"
    with pytest.raises(ForesightError) as caught:
        cka_permutation_moments(np.eye(3), np.eye(3))
    assert str(caught.value) == "x has 3 rows: cka_permutation_moments wants at least 4"
