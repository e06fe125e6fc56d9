"""Tests that permutations within categories, and the control of labels, use only rows with a category."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.calibration.generators import Draw
from benchmarks.calibration.simulate import inputs_of, settings
from foresight_cli.experiments.assessment import assess
from foresight_cli.experiments.pairs import folds_of
from foresight_cli.inference.controls import one_hot, r2_gain
from foresight_cli.inference.dependence import dependence
from foresight_cli.metrics.space import Space

N = 120


@pytest.fixture(scope="module")
def draw() -> Draw:
    """Return two spaces that share only their categories; a third of the rows has no label, one label is unique."""
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 3, N)
    x, y = (4 * rng.standard_normal((3, d))[codes] + rng.standard_normal((N, d)) for d in (6, 5))
    labels = [f"c{code}" for code in codes]
    labels[0] = "alone"
    labels[1:41] = [None] * 40
    return Draw(x, y, labels=labels)


def test_rows_without_a_label_do_not_pass_for_a_category(draw):
    """Check that rows without a label are left out: permuted together, they would hide a shared category."""
    evidence = assess(inputs_of(draw, 0), settings(0, 99, attributes="waived"), brief=True).evidence
    kept = list(range(41, N))
    spaces = [Space(side[kept]) for side in (draw.x, draw.y)]
    labels = [draw.labels[row] for row in kept]
    reference = dependence([spaces[0]], [spaces[1]], k=10, permutations=99, labels=labels, seed=0).tests(0, 0)
    assert [test.value for test in evidence.chosen.within_label] == pytest.approx([test.value for test in reference])
    assert min(test.p_corrected for test in evidence.chosen.within_label) > 0.05
    everything = [label or "" for label in draw.labels]
    spaces = [Space(side) for side in (draw.x, draw.y)]
    mixed = dependence([spaces[0]], [spaces[1]], k=10, permutations=99, labels=everything, seed=0).tests(0, 0)
    assert min(test.p_corrected for test in mixed) <= 0.05


def test_the_control_of_labels_is_of_the_rows_that_have_one(draw):
    assessment = assess(inputs_of(draw, 0), settings(0, 19, attributes="waived"), brief=True)
    (control,) = assessment.evidence.controls
    kept = np.array([0, *range(41, N)])
    position = np.full(N, -1)
    position[kept] = np.arange(len(kept))
    tested = assessment.probe.tested
    assert len(tested) == N
    labels = one_hot([draw.labels[row] for row in kept])
    gain = r2_gain(
        Space(draw.x[kept]).values, labels, Space(draw.y[kept]), [str(i) for i in kept], folds(assessment, position)
    )
    assert (control.name, control.r2) == ("label", pytest.approx(gain.control_r2, abs=1e-9))
    assert control.delta_r2.value == pytest.approx(gain.value, abs=1e-9)


def folds(assessment, position):
    """Return the folds of all rows, reduced to the kept rows."""
    splits = folds_of(assessment.scored.groups, 5, 0)
    return [tuple(part[part >= 0] for part in (position[train], position[test])) for train, test in splits]


def test_too_few_labels_are_no_control_and_no_test(draw):
    few = replace(draw, labels=["a", "b"] * 5 + [None] * (N - 10))
    evidence = assess(inputs_of(few, 0), settings(0, 19, attributes="waived"), brief=True).evidence
    assert (evidence.controls, evidence.chosen.within_label, evidence.labelled) == ([], [], False)
