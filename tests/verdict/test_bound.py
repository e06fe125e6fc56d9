"""Tests of a bound against a threshold: when it passes, when it fails, and how many samples are needed."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from foresight_cli.results import Estimate
from foresight_cli.verdict.bound import above
from tests.verdict.made_evidence import estimate


def judged(estimated, threshold=0.5, *, hope=0.0, groups=300):
    return above("a", "b", estimated, threshold, code="low", hope=hope, groups=groups)


def summary(criterion):
    return criterion.outcome, criterion.reason, criterion.bound, criterion.code, criterion.groups_needed


def test_bounds_are_at_95_percent_and_at_5_percent_shared_by_three():
    estimated = Estimate.of(1.0, 0.1)
    assert estimated.low == pytest.approx(1 - 0.1 * norm.isf(0.025), abs=1e-4)
    assert estimated.high == pytest.approx(1 + 0.1 * norm.isf(0.025), abs=1e-4)
    assert estimated.lower == pytest.approx(1 - 0.1 * norm.isf(0.05), abs=1e-4)
    assert estimated.upper == pytest.approx(1 + 0.1 * norm.isf(0.05 / 3), abs=1e-4)


@pytest.mark.parametrize(
    ("estimated", "hope", "outcome"),
    [
        (estimate(0.75, 0.125), 0.0, ("PASS", "0.750 (0.625 to 0.875), above 0.5", 0.625, "", None)),
        (estimate(0.25, 0.125), 0.0, ("FAIL", "0.250 (0.125 to 0.375), below 0.5", 0.375, "low", None)),
        (estimate(0.25, 0.125), 0.0625, ("FAIL", "0.250 (0.125 to 0.375), below 0.5", 0.4375, "low", None)),
        (
            estimate(0.25, 0.125),
            0.125,
            (
                "UNCLEAR",
                "0.250 (0.125 to 0.375), below 0.5 and still rising with more samples",
                0.125,
                "low",
                301,
            ),
        ),
        (
            estimate(0.25, 0.125),
            None,
            (
                "UNCLEAR",
                "0.250 (0.125 to 0.375), below 0.5 and still rising with more samples",
                0.125,
                "low",
                None,
            ),
        ),
        (
            estimate(0.75, 0.5),
            0.0,
            ("UNCLEAR", "0.750 (0.250 to 1.250), too close to 0.5 to call", 0.25, "low", 1200),
        ),
        (
            estimate(0.25, 0.5),
            0.0,
            ("UNCLEAR", "0.250 (-0.250 to 0.750), too close to 0.5 to call", -0.25, "low", 1200),
        ),
        (Estimate(0.75), 0.0, ("NOT MEASURED", "its interval was not measured", None, "not-measured", None)),
        (Estimate(0.75, 0.7, 0.8), 0.0, ("NOT MEASURED", "its interval was not measured", None, "not-measured", None)),
    ],
)
def test_above(estimated, hope, outcome):
    assert summary(judged(estimated, hope=hope)) == outcome


def test_pass_and_fail_look_at_the_one_sided_bounds_and_not_at_the_interval():
    wide = Estimate(0.6, 0.4, 0.8, lower=0.51, upper=0.9)
    assert judged(wide).outcome == "PASS"
    assert judged(replace(wide, value=0.4, lower=0.3, upper=0.49)).outcome == "FAIL"


def test_a_bound_on_the_threshold_is_unclear():
    assert summary(judged(estimate(0.75, 0.25)))[0::4] == ("UNCLEAR", 301)
    assert judged(estimate(0.25, 0.25)).outcome == "UNCLEAR"


def test_a_hope_does_not_help_to_pass():
    assert judged(estimate(0.55, 0.1), hope=1.0).outcome == "UNCLEAR"


@pytest.mark.parametrize("value", [0.5, 0.5 + 1e-6])
def test_no_number_of_groups_decides_an_estimate_on_the_threshold(value):
    assert judged(estimate(value, 0.25)).groups_needed is None


@pytest.mark.parametrize(
    ("value", "hope", "needed"),
    [
        (0.25, 0.0, 1200),  # 300 (0.5 / 0.25)^2
        (0.25, 0.125, 4800),  # what may still be added halves the distance
        (0.25, 0.25, None),
        (0.25, 0.5, None),
        (0.25, None, None),
        (0.75, None, 1200),  # what more samples may add is in its favour
        (0.75, 0.25, 1200),
    ],
)
def test_no_number_of_groups_decides_what_more_samples_may_still_raise_above(value, hope, needed):
    """Check that an estimate stays below the threshold only if the possible gain leaves it there."""
    assert judged(estimate(value, 0.5), hope=hope).groups_needed == needed


@given(
    value=st.floats(0.52, 0.9),
    error=st.floats(0.01, 0.5),
    groups=st.integers(100, 5000),
)
def test_the_number_of_groups_needed_is_exact(value, error, groups):
    """Check that the bound clears the threshold there and not before, with errors that fall as 1/sqrt(groups)."""
    estimated = judged(Estimate.of(value, error), groups=groups)
    if estimated.outcome == "PASS" or estimated.groups_needed is None:
        return
    for share, outcome in ((1.001, "PASS"), (0.99, "UNCLEAR")):
        n = estimated.groups_needed * share
        if n > groups:
            assert judged(Estimate.of(value, error * math.sqrt(groups / n))).outcome == outcome
