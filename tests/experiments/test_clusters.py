"""Tests of the t-SNE map of a space: the same at every scale, and for every size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.experiments.clusters import tsne
from foresight_cli.inputs.representation import Representation


def space(values: np.ndarray) -> Representation:
    return Representation("source", "a", "final", "flat", "", torch.from_numpy(values))


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(0).standard_normal((24, 6))


def test_a_scale_changes_nothing(values):
    """Check scales whose squares overflow or underflow in single precision, in which t-SNE works."""
    plain = tsne(space(values), 0)
    assert plain.shape == (24, 2)
    assert plain.dtype == np.float32
    assert plain.std() > 1
    for power in (120, -120):
        assert np.array_equal(tsne(space(values * 2.0**power), 0), plain)


@pytest.mark.parametrize("rows", [2, 3, 6, 7])
def test_few_rows(values, rows):
    picture = tsne(space(values[:rows]), 0)
    assert picture.shape == (rows, 2)
    assert np.isfinite(picture).all()


def test_one_column_is_its_own_map(values):
    column = values[:, :1]
    picture = tsne(space(column), 0)
    centred = column - column.mean()
    assert np.abs(picture[:, 0]) == pytest.approx(np.abs(centred[:, 0] / centred.std()), rel=1e-6)
    assert not picture[:, 1].any()


def test_equal_rows_are_one_point():
    assert not tsne(space(np.full((24, 6), 0.1)), 0).any()


def test_values_that_are_not_finite_are_refused(values):
    made = space(values)
    made.__dict__["rotated"] = torch.full((24, 6), torch.inf)
    with pytest.raises(ForesightError, match=r"^its values are not finite$"):
        tsne(made, 0)
