"""Tests of the answer PROCEED, PIVOT or INCONCLUSIVE: nothing makes up for one weak criterion."""

import pytest

from foresight_cli.results import Estimate
from foresight_cli.verdict.rule import STUDY_THRESHOLDS, judge
from tests.verdict.made_evidence import (
    CONTROLS,
    STUDY,
    THRESHOLDS,
    attribute,
    control,
    estimate,
    evidence,
    permuted,
    waivers,
)

CRITERIA = [
    "sample size",
    "pairing",
    "dependence",
    "linear probe",
    "typical samples",
    "unseen neighbourhoods",
    "beyond controls",
    "beyond categories",
    "attributes survive",
]


def verdict(waived=None, **changes):
    return judge(evidence(**changes), THRESHOLDS, waivers(**(waived or {})), study_values=STUDY)


def test_proceed_requires_every_criterion():
    result = verdict()
    assert (result.answer, result.line, result.reasons) == ("PROCEED", "PROCEED", ["every criterion passes"])
    assert [c.name for c in result.criteria] == CRITERIA
    assert {c.outcome for c in result.criteria} == {"PASS"}
    assert (result.waived, result.limiting, result.groups_needed) == ([], None, None)


def pixels(delta, half=0.01):
    return [control("pixels", 0.8, delta, half), *map(control, CONTROLS[1:])]


NO_PIXELS = [control(name) for name in CONTROLS[1:]]
WEAK = [
    ({"r2": estimate(0.3)}, "PIVOT", "linear probe: 0.300 (0.200 to 0.400), below 0.5"),
    (
        {"r2": estimate(0.3), "hope": 0.3},
        "INCONCLUSIVE",
        "linear probe: 0.300 (0.200 to 0.400), below 0.5 and still rising with more samples",
    ),
    (
        {"r2": estimate(0.55)},
        "INCONCLUSIVE",
        "linear probe: 0.550 (0.450 to 0.650), too close to 0.5 to call",
    ),
    ({"r2": Estimate(0.9)}, "INCONCLUSIVE", "linear probe: its interval was not measured"),
    (
        {"r2_typical": estimate(0.0)},
        "PIVOT",
        "typical samples: 0.000 (-0.100 to 0.100), below 0.25",
    ),
    (
        {"controls": pixels(0.01)},
        "PIVOT",
        "beyond controls: what the source adds to pixels (R2 0.800 by itself): 0.010 (0.000 to 0.020), below 0.05",
    ),
    ({"controls": NO_PIXELS}, "INCONCLUSIVE", "beyond controls: the controls pixels were not measured"),
    (
        {"within_label": permuted(0.4)},
        "INCONCLUSIVE",
        "beyond categories: p = 0.4: within categories, the two spaces share no more than chance",
    ),
    (
        {"within_clusters": permuted(0.3)},
        "INCONCLUSIVE",
        "beyond categories: p = 0.3: within clusters of the target, the two spaces share no more than chance",
    ),
    ({"within_label": [], "within_clusters": []}, "INCONCLUSIVE", "beyond categories: no permutation test was made"),
    (
        {"attributes": [attribute("x"), attribute("y", 0.0)]},
        "PIVOT",
        "attributes survive: y keeps 0.000 (-0.100 to 0.100), below 0.7; lost: y",
    ),
    (
        {"attributes": []},
        "INCONCLUSIVE",
        "attributes survive: the data has no attributes (x, y, size ...), so whether position survives is unknown",
    ),
    ({"groups": 99}, "INCONCLUSIVE", "sample size: 99 groups are too few to judge; at least 100 are needed"),
    (
        {"shifted_cka": 0.5},
        "INCONCLUSIVE",
        "pairing: CKA 0.600 stays at 0.500 when samples are paired wrongly: it is not about the samples",
    ),
    (
        {"tests": permuted(0.3)},
        "INCONCLUSIVE",
        "dependence: p = 0.3: no more than chance in CKA and neighbours, but the linear probe finds more",
    ),
    (
        {"tests": permuted(0.3), "power": 0.5},
        "INCONCLUSIVE",
        "dependence: p = 0.3: no more than chance, but a real bridge would be found with probability 50% only",
    ),
    ({"tests": []}, "INCONCLUSIVE", "dependence: no permutation test was made"),
]


@pytest.mark.parametrize(("change", "answer", "reason"), WEAK, ids=[reason for *_, reason in WEAK])
def test_nothing_makes_up_for_one_weak_criterion(change, answer, reason):
    result = verdict(**change)
    assert (result.answer, result.reasons) == (answer, [reason])


LOST = {"r2": estimate(0.0)}


@pytest.mark.parametrize(
    "missing",
    [{"groups": 99}, {"shifted_cka": 0.5}, {"controls": NO_PIXELS}, {"within_clusters": []}, {"tests": []}],
)
def test_a_failure_among_evidence_that_is_missing_is_not_a_pivot(missing):
    assert verdict(**LOST, **missing).answer == "INCONCLUSIVE"


def test_attributes_alone_may_be_missing_from_a_pivot():
    result = verdict(**LOST, attributes=[])
    assert result.answer == "PIVOT"
    assert [reason.partition(":")[0] for reason in result.reasons] == ["linear probe", "attributes survive"]


def test_a_pivot_is_not_held_back_by_what_is_unclear():
    assert verdict(**LOST, within_label=permuted(0.3)).answer == "PIVOT"


# --- the limiting criterion


@pytest.mark.parametrize(
    ("change", "limiting", "needed"),
    [
        ({"groups": 60}, "sample size", 100),
        ({"r2": estimate(0.75, 0.5)}, "linear probe", 1200),
        ({"r2": estimate(0.3), "hope": 0.3}, "linear probe", None),
        ({"within_label": permuted(0.3)}, "beyond categories", None),
        ({"r2": estimate(0.75, 0.5), "within_label": permuted(0.3)}, "beyond categories", None),
        ({"r2": estimate(0.75, 0.375), "r2_typical": estimate(0.5, 0.3)}, "linear probe", 675),
        ({"shifted_cka": 0.5, "r2": estimate(0.75, 0.5)}, "pairing", None),  # without a number: it comes first
        ({"controls": [], "r2": estimate(0.75, 0.5)}, "beyond controls", None),  # what is missing comes first
        ({"attributes": [], "within_label": permuted(0.3)}, "attributes survive", None),
    ],
)
def test_what_limits_an_open_verdict(change, limiting, needed):
    result = verdict(**change)
    assert (result.answer, result.limiting, result.groups_needed) == ("INCONCLUSIVE", limiting, needed)


def test_nothing_limits_a_verdict_that_is_an_answer():
    result = verdict(**LOST, within_label=permuted(0.3))
    assert (result.answer, result.limiting, result.groups_needed) == ("PIVOT", None, None)


# --- waived criteria


@pytest.mark.parametrize(
    ("waived", "missing", "line"),
    [
        ({"attributes": "waived"}, {"attributes": []}, "PROCEED (attributes waived)"),
        (
            {"controls": "waived"},
            {"controls": [control("label")]},
            "PROCEED (controls waived)",
        ),
        ({"categories": "waived"}, {"within_clusters": []}, "PROCEED (categories waived)"),
        (
            {"attributes": "waived", "controls": "waived", "categories": "waived"},
            {"attributes": [], "controls": [], "within_label": [], "within_clusters": []},
            "PROCEED (attributes, controls, categories waived)",
        ),
    ],
)
def test_a_waived_criterion_may_be_missing_and_is_named(waived, missing, line):
    assert verdict(**missing).answer == "INCONCLUSIVE"
    assert verdict(waived, **missing).line == line


@pytest.mark.parametrize(
    ("waived", "change"),
    [
        ({"attributes": "waived"}, {"attributes": [attribute("x", 0.0)]}),
        ({"controls": "waived"}, {"controls": pixels(0.0)}),
    ],
)
def test_evidence_against_a_bridge_cannot_be_waived_away(waived, change):
    assert verdict(waived, **change).answer == "PIVOT"


def test_a_waiver_helps_no_other_criterion():
    result = verdict({"attributes": "waived"}, **LOST, attributes=[])
    assert result.line == "PIVOT (attributes waived)"
    assert result.reasons == ["linear probe: 0.000 (-0.100 to 0.100), below 0.5"]


# --- the study's own rule


@pytest.mark.parametrize("key", STUDY)
def test_the_study_requires_all_four_above_their_thresholds(key):
    at = {**STUDY, key: STUDY_THRESHOLDS[key]}
    result = judge(evidence(), THRESHOLDS, waivers(), study_values=at)
    assert (result.study_answer, result.study_values, result.answer) == ("no PROCEED", at, "PROCEED")


def test_the_study_may_answer_otherwise():
    result = verdict(attributes=[attribute("x", 0.0)])
    assert (result.study_answer, result.answer) == ("PROCEED", "PIVOT")


def test_without_the_studys_numbers_its_rule_is_left_out():
    result = judge(evidence(), THRESHOLDS, waivers(), study_values={})
    assert (result.study_answer, result.study_values) == ("no PROCEED", {})
