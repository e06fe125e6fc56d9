import numpy as np
import pytest
from hypothesis import given, settings
from torchmetrics import MetricCollection

from foresight_cli.metrics import effective_rank, participation_ratio, pca_dimension
from foresight_cli.metrics.streaming import EffectiveRank, Moments, ParticipationRatio, PCADimension
from tests.refusal import refusal

TWINS = {EffectiveRank: effective_rank, ParticipationRatio: participation_ratio, PCADimension: pca_dimension}


@pytest.mark.parametrize("shape", [(90, 8), (30, 50)])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_equal_to_in_memory_over_any_sharding(shardings, shape, offset):
    x = np.random.default_rng(0).standard_normal(shape) * np.arange(1, shape[1] + 1) + offset

    @settings(max_examples=8, deadline=None)
    @given(shardings(shape[0]))
    def check(sharding):
        for metric, function in TWINS.items():
            assert float(sharding.stream(metric, x).compute()) == pytest.approx(function(x), rel=1e-10)

    check()


def test_closed_forms_and_digits(oracles, digits, in_order):
    roots = np.diag(np.sqrt(np.array(oracles["K"]["eigs"]) / 2))
    rows = np.vstack([roots, -roots]) + 100
    assert float(in_order(8, 3).stream(ParticipationRatio, rows).compute()) == pytest.approx(64 / 22, rel=1e-12)
    assert float(in_order(8, 3).stream(EffectiveRank, rows).compute()) == pytest.approx(2**1.75, rel=1e-12)
    for variance, expected in ((0.49, 1), (0.51, 2), (0.74, 2), (0.8, 3), (1.0, 4)):
        assert int(in_order(8, 3).stream(lambda v=variance: PCADimension(v), rows).compute()) == expected
    k, x = oracles["K"], digits[0]
    assert float(in_order(1797, 256).stream(ParticipationRatio, x).compute()) == pytest.approx(k["digits_PR"], rel=1e-8)
    assert float(in_order(1797, 256).stream(EffectiveRank, x).compute()) == pytest.approx(k["digits_erank"], rel=1e-8)
    assert int(in_order(1797, 256).stream(PCADimension, x).compute()) == k["digits_pca95"]


def test_a_collection_adds_up_once():
    x = np.random.default_rng(0).standard_normal((60, 5)) * np.arange(1, 6)
    collection = MetricCollection([Moments(), PCADimension(0.8), ParticipationRatio(), EffectiveRank()])
    for rows in np.split(x, [10, 11, 40]):
        collection.update(x=rows)
    assert list(collection.compute_groups.values()) == [
        ["Moments", "PCADimension", "ParticipationRatio", "EffectiveRank"]
    ]
    results = collection.compute()
    assert results["Moments"].n == 60
    np.testing.assert_allclose(results["Moments"].covariance, np.cov(x.T), rtol=1e-12)
    assert int(results["PCADimension"]) == pca_dimension(x, variance=0.8)
    assert float(results["ParticipationRatio"]) == pytest.approx(participation_ratio(x), rel=1e-12)
    assert float(results["EffectiveRank"]) == pytest.approx(effective_rank(x), rel=1e-12)
    collection.update(x=x[:7])
    assert collection.compute()["Moments"].n == 67
    collection.reset()
    collection.update(x=x[:9])
    assert float(collection.compute()["ParticipationRatio"]) == pytest.approx(participation_ratio(x[:9]), rel=1e-12)


def test_forward_gives_the_batch_and_adds_it():
    x = np.random.default_rng(0).standard_normal((60, 5)) * np.arange(1, 6)
    ratio = ParticipationRatio()
    for rows in np.split(x, [20, 33]):
        assert float(ratio(rows)) == pytest.approx(participation_ratio(rows), rel=1e-12)
    assert float(ratio.compute()) == pytest.approx(participation_ratio(x), rel=1e-12)


def test_refusals():
    for variance in (0, 1.1):
        assert refusal(PCADimension, variance) == f"variance={variance}: wanted a share above 0, at most 1"
    for metric in TWINS:
        constant = metric()
        name = metric.__name__
        assert refusal(constant.compute) == f"{name} has 0 rows so far: wanted at least 2 before compute()"
        constant.update(np.full((3, 2), 0.1))
        constant.update(np.full((2, 2), 0.1))
        assert refusal(constant.compute) == (
            f"x is constant: all its 5 rows are equal, and {name} wants rows that vary"
        )
