"""Tests that `SpacePair` gives, in one pass, the results of the separate measures."""

from __future__ import annotations

import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics import effective_rank, linear_cka, pca_dimension
from foresight_cli.metrics.streaming import EffectiveRank, LinearCKA, LinearProbe, SpacePair

RNG = np.random.default_rng(5)
X = RNG.standard_normal((900, 24)) * np.geomspace(1, 20, 24) + 1e4
Y = X[:, :9] @ RNG.standard_normal((9, 7)) + 5 * RNG.standard_normal((900, 7)) - 3e3
GROUPS = [f"g{i // 3}" for i in range(900)]


def pair(rows=slice(None), batch=100) -> SpacePair:
    made = SpacePair()
    x, y, groups = X[rows], Y[rows], np.array(GROUPS)[rows]
    for start in range(0, len(x), batch):
        part = slice(start, start + batch)
        made.update(x[part], y[part], groups=groups[part].tolist())
    return made


def test_all_of_it_equals_the_separate_measures():
    result = pair().compute()
    cka, probe = LinearCKA(debiased=None), LinearProbe()
    cka.update(X, Y)
    probe.update(X, Y, groups=GROUPS)
    both, alone = cka.compute(), probe.compute()
    assert result.rows == 900
    assert result.cka == pytest.approx(float(both["debiased"]), rel=1e-10)
    assert result.cka == pytest.approx(linear_cka(X, Y), rel=1e-8)
    assert result.cka_biased == pytest.approx(float(both["biased"]), rel=1e-10)
    assert result.probe.r2 == pytest.approx(alone.r2, rel=1e-10)
    assert result.probe.penalties == pytest.approx(alone.penalties, rel=1e-10)
    for values, space in ((result.x_eigenvalues, X), (result.y_eigenvalues, Y)):
        assert float(values.sum()) == pytest.approx(1.0)
        assert float(torch.special.entr(values).sum().exp()) == pytest.approx(effective_rank(space), rel=1e-8)
        assert int((values.cumsum(0) < 0.95 - 1e-12).sum()) + 1 == pca_dimension(space)
    rank = EffectiveRank()
    rank.update(X)
    assert float(torch.special.entr(result.x_eigenvalues).sum().exp()) == pytest.approx(
        float(rank.compute()), rel=1e-10
    )


@pytest.mark.parametrize("cuts", [(300, 600), (1, 899), (450,)])
def test_workers_in_any_order_give_the_same_to_ten_digits(cuts):
    whole = pair().compute()
    edges = [0, *cuts, 900]
    workers = [pickle.loads(pickle.dumps(pair(slice(a, b), 37))) for a, b in pairwise(edges)]
    for order in (workers, workers[::-1]):
        merged = SpacePair()
        for worker in order:
            merged.merge_state(worker)
        result = merged.compute()
        assert result.cka == pytest.approx(whole.cka, rel=1e-10)
        assert result.probe.r2 == pytest.approx(whole.probe.r2, rel=1e-10)
        assert torch.allclose(result.x_eigenvalues, whole.x_eigenvalues, rtol=1e-9, atol=1e-14)


def test_a_probe_cannot_be_merged_into_it():
    probe = LinearProbe()
    probe.update(X, Y, groups=GROUPS)
    with pytest.raises(ForesightError, match="LinearProbe cannot be merged into SpacePair"):
        pair().merge_state(probe)


def test_too_few_rows():
    with pytest.raises(ForesightError):
        pair(slice(0, 3)).compute()
