"""Whether position, size and the like survive the bridge: the criterion with the most to say."""

import pytest

from foresight_cli.criteria import attributes_survive
from tests.evidence_made import attribute, evidence


def judged(*attributes, waived=False, **more):
    return attributes_survive(evidence(attributes=list(attributes), **more), 0.7, waived=waived)


def said(criterion):
    return criterion.outcome, criterion.reason, criterion.code


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ([attribute("x")], ("PASS", "x keeps 0.900 (0.800 to 1.000) lies above 0.7", "")),
        (
            [attribute("x", 0.95), attribute("hue")],
            ("PASS", "hue keeps 0.900 (0.800 to 1.000) lies above 0.7", ""),
        ),
        (
            [attribute("x"), attribute("size", None)],
            (
                "PASS",
                "x keeps 0.900 (0.800 to 1.000) lies above 0.7; not held by the target itself: size",
                "",
            ),
        ),
        (
            [attribute("x", 0.75)],
            ("UNCLEAR", "x keeps 0.750 (0.650 to 0.850) does not settle on a side of 0.7", "spatial-retention:x"),
        ),
        (
            [attribute("x"), attribute("hue", 0.75)],
            ("UNCLEAR", "hue keeps 0.750 (0.650 to 0.850) does not settle on a side of 0.7", "attribute-retention:hue"),
        ),
        (
            [attribute("x", 0.1), attribute("y", 0.0), attribute("hue")],
            ("FAIL", "y keeps 0.000 (-0.100 to 0.100) lies below 0.7; lost: x, y", "spatial-retention:x,y"),
        ),
        (
            [attribute("hue", 0.0), attribute("size", 0.75)],
            ("FAIL", "hue keeps 0.000 (-0.100 to 0.100) lies below 0.7; lost: hue", "attribute-retention:hue"),
        ),
        (
            [],
            (
                "NOT MEASURED",
                "the data has no attributes (x, y, size ...), so whether position survives is not known",
                "attributes-not-measured",
            ),
        ),
        (
            [attribute("x", None)],
            (
                "NOT MEASURED",
                "the target holds none of the data's attributes well enough to judge",
                "attributes-not-measured",
            ),
        ),
    ],
)
def test_attributes_survive(attributes, expected):
    assert said(judged(*attributes)) == expected


def test_what_more_rows_may_bring_keeps_an_attribute_from_being_lost():
    found = judged(attribute("x", 0.5), hope=0.2)
    reason = "x keeps 0.500 (0.400 to 0.600) lies below 0.7, but still rises with the number of samples"
    assert said(found) == ("UNCLEAR", reason, "spatial-retention:x")
    assert found.groups_needed == 600


WHY = {"y": "only 12 of 300 samples have it"}


def test_an_attribute_that_could_not_be_measured_keeps_from_passing():
    found = judged(attribute("x"), unmeasured=WHY)
    reason = "x keeps 0.900 (0.800 to 1.000) lies above 0.7; y was not measured: only 12 of 300 samples have it"
    assert said(found) == ("UNCLEAR", reason, "attributes-not-measured")
    lost = judged(attribute("x", 0.0), unmeasured=WHY)
    assert (lost.outcome, lost.code) == ("FAIL", "spatial-retention:x")


def test_nothing_could_be_measured():
    reason = "y was not measured: only 12 of 300 samples have it"
    assert said(judged(unmeasured=WHY)) == ("NOT MEASURED", reason, "attributes-not-measured")


def test_waived():
    assert said(judged(waived=True)) == ("WAIVED", "waived: whether position survives is not known", "")
    assert judged(attribute("x"), unmeasured=WHY, waived=True).outcome == "PASS"
    assert judged(attribute("x", 0.0), waived=True).outcome == "FAIL"  # what is known is not waived away


def test_attributes_of_a_companion_are_said_to_be_so():
    found = judged(attribute("x"), companion="shapes (1000 drawings)")
    assert found.reason == (
        "x keeps 0.900 (0.800 to 1.000) lies above 0.7; measured on the companion data shapes (1000 drawings)"
    )
