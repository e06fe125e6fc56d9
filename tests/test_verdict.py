"""PROCEED, PIVOT or INCONCLUSIVE: one weak criterion is never bought off."""

import pytest

from foresight_cli.results import Estimate
from foresight_cli.verdict import STUDY_THRESHOLDS, judge
from tests.evidence_made import CONTROLS, STUDY, THRESHOLDS, attribute, control, estimate, evidence, permuted, waivers

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


def verdict(given=None, **changes):
    return judge(evidence(**changes), THRESHOLDS, waivers(**(given or {})), study_values=STUDY)


def test_proceed_wants_every_criterion():
    said = verdict()
    assert (said.answer, said.line, said.reasons) == ("PROCEED", "PROCEED", ["every criterion passes"])
    assert [c.name for c in said.criteria] == CRITERIA
    assert {c.outcome for c in said.criteria} == {"PASS"}
    assert (said.waived, said.limiting, said.groups_needed) == ([], None, None)


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
        {"typical": estimate(0.0)},
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
        "attributes survive: the data has no attributes (x, y, size ...), so whether position survives is not known",
    ),
    ({"groups": 99}, "INCONCLUSIVE", "sample size: 99 groups are too few to judge; at least 100 are wanted"),
    (
        {"shifted_cka": 0.5},
        "INCONCLUSIVE",
        "pairing: CKA 0.600 stays at 0.500 when samples are paired wrongly: it says nothing about them",
    ),
    (
        {"tests": permuted(0.3)},
        "INCONCLUSIVE",
        "dependence: p = 0.3: no more than chance in CKA and neighbours, which the linear probe does not bear out",
    ),
    (
        {"tests": permuted(0.3), "power": 0.5},
        "INCONCLUSIVE",
        "dependence: p = 0.3: chance explains it, though only 50% likely to be seen if there were enough",
    ),
    ({"tests": []}, "INCONCLUSIVE", "dependence: no permutation test was made"),
]


@pytest.mark.parametrize(("change", "answer", "reason"), WEAK, ids=[reason for *_, reason in WEAK])
def test_one_weak_criterion_is_never_bought_off(change, answer, reason):
    said = verdict(**change)
    assert (said.answer, said.reasons) == (answer, [reason])


LOST = {"r2": estimate(0.0)}


@pytest.mark.parametrize(
    "missing",
    [{"groups": 99}, {"shifted_cka": 0.5}, {"controls": NO_PIXELS}, {"within_clusters": []}, {"tests": []}],
)
def test_a_failure_among_evidence_that_is_missing_is_not_a_pivot(missing):
    assert verdict(**LOST, **missing).answer == "INCONCLUSIVE"


def test_attributes_alone_may_be_missing_from_a_pivot():
    said = verdict(**LOST, attributes=[])
    assert said.answer == "PIVOT"
    assert [reason.partition(":")[0] for reason in said.reasons] == ["linear probe", "attributes survive"]


def test_a_pivot_is_not_held_back_by_what_is_unclear():
    assert verdict(**LOST, within_label=permuted(0.3)).answer == "PIVOT"


# --- what stands in the way


@pytest.mark.parametrize(
    ("change", "limiting", "needed"),
    [
        ({"groups": 60}, "sample size", 100),
        ({"r2": estimate(0.75, 0.5)}, "linear probe", 1200),
        ({"r2": estimate(0.3), "hope": 0.3}, "linear probe", None),
        ({"within_label": permuted(0.3)}, "beyond categories", None),
        ({"r2": estimate(0.75, 0.5), "within_label": permuted(0.3)}, "beyond categories", None),
        ({"r2": estimate(0.75, 0.375), "typical": estimate(0.5, 0.3)}, "linear probe", 675),
        ({"shifted_cka": 0.5, "r2": estimate(0.75, 0.5)}, "pairing", None),  # no number is known: it comes first
        ({"controls": [], "r2": estimate(0.75, 0.5)}, "beyond controls", None),  # what is missing comes first
        ({"attributes": [], "within_label": permuted(0.3)}, "attributes survive", None),
    ],
)
def test_what_limits_an_open_verdict(change, limiting, needed):
    said = verdict(**change)
    assert (said.answer, said.limiting, said.groups_needed) == ("INCONCLUSIVE", limiting, needed)


def test_nothing_limits_a_verdict_that_is_an_answer():
    said = verdict(**LOST, within_label=permuted(0.3))
    assert (said.answer, said.limiting, said.groups_needed) == ("PIVOT", None, None)


# --- what the user gives up


@pytest.mark.parametrize(
    ("given", "missing", "line"),
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
            {"attributes": [], "controls": [], "within_label": [], "within_clusters": [], "labelled": False},
            "PROCEED (attributes, controls, categories waived)",
        ),
    ],
)
def test_what_is_waived_may_be_missing_and_is_said(given, missing, line):
    assert verdict(**missing).answer == "INCONCLUSIVE"
    assert verdict(given, **missing).line == line


@pytest.mark.parametrize(
    ("given", "change"),
    [
        ({"attributes": "waived"}, {"attributes": [attribute("x", 0.0)]}),
        ({"controls": "waived"}, {"controls": pixels(0.0)}),
    ],
)
def test_evidence_against_a_bridge_cannot_be_waived_away(given, change):
    assert verdict(given, **change).answer == "PIVOT"


def test_a_waiver_helps_no_other_criterion():
    said = verdict({"attributes": "waived"}, **LOST, attributes=[])
    assert said.line == "PIVOT (attributes waived)"
    assert said.reasons == ["linear probe: 0.000 (-0.100 to 0.100), below 0.5"]


# --- the study's own rule


@pytest.mark.parametrize("key", STUDY)
def test_the_study_wants_all_four_above_their_thresholds(key):
    at = {**STUDY, key: STUDY_THRESHOLDS[key]}
    said = judge(evidence(), THRESHOLDS, waivers(), study_values=at)
    assert (said.study_answer, said.study_values, said.answer) == ("no PROCEED", at, "PROCEED")


def test_the_study_may_say_otherwise():
    said = verdict(attributes=[attribute("x", 0.0)])
    assert (said.study_answer, said.answer) == ("PROCEED", "PIVOT")


def test_without_the_studys_numbers_it_says_nothing():
    said = judge(evidence(), THRESHOLDS, waivers(), study_values={})
    assert (said.study_answer, said.study_values) == ("no PROCEED", {})
