"""Tests of the criterion on attributes: position, size and others through the bridge."""

import pytest

from foresight_cli.results import Attribute, Estimate
from foresight_cli.verdict.criteria import attributes_survive
from tests.verdict.made_evidence import CHOSEN, attribute, evidence


def judged(*attributes, waived=False, **more):
    return attributes_survive(evidence(attributes=list(attributes), **more), 0.7, ceiling=0.3, waived=waived)


def summary(criterion):
    return criterion.outcome, criterion.reason, criterion.code


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ([attribute("x")], ("PASS", "x keeps 0.900 (0.800 to 1.000), above 0.7", "")),
        (
            [attribute("x", 0.95), attribute("hue")],
            ("PASS", "hue keeps 0.900 (0.800 to 1.000), above 0.7", ""),
        ),
        (
            [attribute("x"), attribute("size", None)],
            (
                "PASS",
                "x keeps 0.900 (0.800 to 1.000), above 0.7; not judged, "
                "as the lower bound of R2 from the target itself is below 0.3: size (R2 0.311, lower bound 0.262)",
                "",
            ),
        ),
        (
            [attribute("x", 0.75)],
            ("UNCLEAR", "x keeps 0.750 (0.650 to 0.850), too close to 0.7 to call", "spatial-retention:x"),
        ),
        (
            [attribute("x"), attribute("hue", 0.75)],
            ("UNCLEAR", "hue keeps 0.750 (0.650 to 0.850), too close to 0.7 to call", "attribute-retention:hue"),
        ),
        (
            [attribute("x", 0.1), attribute("y", 0.0), attribute("hue")],
            ("FAIL", "y keeps 0.000 (-0.100 to 0.100), below 0.7; lost: x, y", "spatial-retention:x,y"),
        ),
        (
            [attribute("hue", 0.0), attribute("size", 0.75)],
            ("FAIL", "hue keeps 0.000 (-0.100 to 0.100), below 0.7; lost: hue", "attribute-retention:hue"),
        ),
        (
            [],
            (
                "NOT MEASURED",
                "the data has no attributes (x, y, size ...), so whether position survives is unknown",
                "attributes-not-measured",
            ),
        ),
        (
            [attribute("x", None)],
            (
                "NOT MEASURED",
                "no attribute is judged, as the lower bound of R2 from the target itself is below 0.3: "
                "x (R2 0.311, lower bound 0.262)",
                "attributes-unread",
            ),
        ),
    ],
)
def test_attributes_survive(attributes, expected):
    assert summary(judged(*attributes)) == expected


def test_what_more_rows_may_bring_keeps_an_attribute_from_being_lost():
    result = judged(attribute("x", 0.5), hope=0.2)
    reason = (
        "x keeps 0.500 (0.400 to 0.600), below 0.7 but the linear probe is still rising with more samples, and may "
        "raise this with it"
    )
    assert summary(result) == ("UNCLEAR", reason, "spatial-retention:x")
    assert result.groups_needed is None
    few = judged(attribute("x", 0.5), hope=None, learning_curve=CHOSEN.learning_curve[:2])
    reason = "x keeps 0.500 (0.400 to 0.600), below 0.7 with too few samples to tell whether more would raise it"
    assert summary(few) == ("UNCLEAR", reason, "spatial-retention:x")


def test_a_share_is_at_most_one():
    """Check a share above one: the probe of the true target overfits, and the smooth prediction is easier to read."""
    size = Attribute("size", 0.9, 0.611, 0.944, Estimate(1.546, 1.255, 2.019, 0.0, None, 1.3, 2.1), 0.55)
    assert size.retention == Estimate(1.0, 1.0, 1.0, 0.0, None, 1.0, 2.1)
    result = judged(size, attribute("x", 0.95))
    assert result.reason == "x keeps 0.950 (0.850 to 1.000), above 0.7"
    result = judged(size)
    assert summary(result) == (
        "PASS",
        "size is kept fully: 1.000 (1.000 to 1.000), above 0.7; it is read better through the bridge (R2 0.944) than "
        "from the target (R2 0.611)",
        "",
    )
    assert (result.estimate.value, result.bound) == (1.0, 1.0)


def test_a_share_of_one_that_is_not_certain_does_not_pass():
    wide = Attribute("size", 0.9, 0.4, 0.41, Estimate(1.02, 0.5, 1.5, 0.0, None, 0.6, 1.6), 0.35)
    reason = "size keeps 1.000 (0.500 to 1.000), too close to 0.7 to call"
    assert summary(judged(wide)) == ("UNCLEAR", reason, "attribute-retention:size")


def test_a_share_below_one_needs_as_many_groups_as_its_whole_error_says():
    """Check that the cut at 1 does not shrink the standard error: 200 (0.27 / 0.05)^2, and not (0.15 / 0.05)^2."""
    below = Attribute("size", 0.9, 0.4, 0.34, Estimate(0.85, 0.6, 1.15, 0.0, None, 0.65, 1.12), 0.35)
    result = attributes_survive(evidence(attributes=[below], groups=200), 0.9, ceiling=0.3, waived=False)
    reason = "size keeps 0.850 (0.600 to 1.000), too close to 0.9 to call"
    assert summary(result) == ("UNCLEAR", reason, "attribute-retention:size")
    assert result.groups_needed == 5832


WHY = {"y": "only 12 of 300 samples have it"}


def test_an_attribute_that_could_not_be_measured_keeps_from_passing():
    result = judged(attribute("x"), unmeasured=WHY)
    reason = "x keeps 0.900 (0.800 to 1.000), above 0.7; y was not measured: only 12 of 300 samples have it"
    assert summary(result) == ("UNCLEAR", reason, "attributes-not-measured")
    lost = judged(attribute("x", 0.0), unmeasured=WHY)
    assert (lost.outcome, lost.code) == ("FAIL", "spatial-retention:x")


def test_nothing_could_be_measured():
    reason = "y was not measured: only 12 of 300 samples have it"
    assert summary(judged(unmeasured=WHY)) == ("NOT MEASURED", reason, "attributes-unread")


def test_waived():
    assert summary(judged(waived=True)) == ("WAIVED", "waived: whether position survives is unknown", "")
    assert judged(attribute("x"), unmeasured=WHY, waived=True).outcome == "PASS"
    assert judged(attribute("x", 0.0), waived=True).outcome == "FAIL"  # what is known is not waived away


def test_the_companion_data_of_attributes_are_named():
    result = judged(attribute("x"), companion="shapes (1000 drawings)")
    assert result.reason == (
        "x keeps 0.900 (0.800 to 1.000), above 0.7; measured on the companion data shapes (1000 drawings)"
    )
