from dataclasses import replace

import pytest

from foresight_cli.config import Thresholds
from foresight_cli.results import Attribute, Control, Estimate, Neighborhood, Pair
from foresight_cli.verdict import above, judge

THRESHOLDS = Thresholds(r2=0.5, spearman=0.6, recall=0.2, cka=0.4, delta=0.05, retention=0.7, min_groups=100)
STUDY = {"r2": 0.6, "spearman": 0.7, "recall@10": 0.3, "cka": 0.5}
GOOD = Pair(
    source=0,
    target=1,
    cka=Estimate(0.6, 0.5, 0.7),
    cka_biased=Estimate(0.7),
    r2=Estimate(0.7, 0.6, 0.8),
    r2_reverse=0.5,
    cosine=0.8,
    cosine_reverse=0.7,
    spearman=Estimate(0.8, 0.7, 0.9),
    spearman_cosine=0.8,
    pearson=0.8,
    neighborhood=[Neighborhood(10, Estimate(0.4, 0.3, 0.5), 0.2, 0.2, 0.02)],
)
CONTROLS = [Control(name, 0.3, 0.2, 0.2, 0.1, Estimate(0.3, 0.2, 0.4)) for name in ("pixels", "histogram", "label")]
POSITION = [Attribute("x", 0.8, 0.9, 0.8, Estimate(0.89, 0.8, 0.95))]


WITHIN = Estimate(0.5, p_value=0.001)


def verdict(pair=GOOD, controls=CONTROLS, attributes=POSITION, within=WITHIN, groups=300, unmeasured=None):
    return judge(
        pair,
        controls,
        attributes,
        within,
        groups,
        THRESHOLDS,
        labelled=within is not None,
        unmeasured=unmeasured or {},
        study_values=STUDY,
    )


def test_proceed_wants_every_criterion():
    said = verdict()
    assert said.answer == "PROCEED"
    assert said.reasons == ["every criterion passes"]
    assert {c.outcome for c in said.criteria} == {"PASS"}
    assert [c.name for c in said.criteria] == [
        "sample size",
        "linear probe",
        "distances",
        "neighbours",
        "alignment",
        "beyond controls",
        "beyond categories",
        "attributes survive",
    ]


@pytest.mark.parametrize(
    ("change", "answer", "reason"),
    [
        (
            {"pair": replace(GOOD, r2=Estimate(0.3, 0.2, 0.4))},
            "PIVOT",
            "linear probe: 0.300 (0.200 to 0.400) lies below 0.5",
        ),
        (
            {"pair": replace(GOOD, r2=Estimate(0.55, 0.45, 0.65))},
            "INCONCLUSIVE",
            "linear probe: 0.550 (0.450 to 0.650) does not settle on a side of 0.5",
        ),
        (
            {"pair": replace(GOOD, spearman=Estimate(0.3, 0.2, 0.4))},
            "INCONCLUSIVE",
            "distances: 0.300 (0.200 to 0.400) lies below 0.6",
        ),
        (
            {"pair": replace(GOOD, spearman=Estimate(0.9))},
            "INCONCLUSIVE",
            "distances: its interval was not measured",
        ),
        (
            {"controls": [*CONTROLS[1:], replace(CONTROLS[0], r2=0.8, delta_r2=Estimate(0.01, 0.0, 0.02))]},
            "PIVOT",
            "beyond controls: over pixels (R2 0.800 by itself) the source adds 0.010 (0.000 to 0.020) lies below 0.05",
        ),
        (
            {"controls": CONTROLS[:1]},
            "INCONCLUSIVE",
            "beyond controls: the controls histogram, label were not measured",
        ),
        ({"controls": []}, "INCONCLUSIVE", "beyond controls: the controls histogram, label, pixels were not measured"),
        (
            {"within": Estimate(0.1, p_value=0.4)},
            "INCONCLUSIVE",
            "beyond categories: p = 0.4: within a category, the two spaces share no more than chance",
        ),
        (
            {"attributes": [*POSITION, Attribute("y", 0.1, 0.9, 0.0, Estimate(0.0, -0.1, 0.1))]},
            "PIVOT",
            "attributes survive: y keeps 0.000 (-0.100 to 0.100) lies below 0.7; lost: y",
        ),
        (
            {"attributes": []},
            "INCONCLUSIVE",
            "attributes survive: the data has no attributes (x, y, size ...), so whether position survives is not "
            "known",
        ),
        (
            {"attributes": [Attribute("x", 0.1, 0.1, 0.0, None)]},
            "INCONCLUSIVE",
            "attributes survive: the target holds none of the data's attributes well enough to judge",
        ),
        (
            {"groups": 99},
            "INCONCLUSIVE",
            "sample size: 99 groups are too few to judge; at least 100 are wanted",
        ),
    ],
)
def test_one_weak_criterion_is_never_bought_off(change, answer, reason):
    said = verdict(**change)
    assert (said.answer, said.reasons) == (answer, [reason])


def test_a_decisive_failure_on_too_few_groups_is_not_a_pivot():
    assert verdict(groups=30, pair=replace(GOOD, r2=Estimate(0.0, -0.1, 0.1))).answer == "INCONCLUSIVE"


def test_an_attribute_that_the_target_lacks_is_named():
    said = verdict(attributes=[*POSITION, Attribute("hue", 0.5, 0.2, 0.1, None)])
    assert said.answer == "PROCEED"
    assert (
        said.criteria[-1].reason == "x keeps 0.890 (0.800 to 0.950) lies above 0.7; not held by the target itself: hue"
    )


def test_without_categories_they_cannot_be_ruled_out():
    said = verdict(within=None, controls=CONTROLS[:2])
    assert said.answer == "INCONCLUSIVE"
    assert said.reasons == [
        "beyond categories: the data has no categories, so whether they alone explain the likeness is not known"
    ]


def test_the_control_with_the_worst_outcome_counts_not_the_one_with_the_lowest_estimate():
    controls = [
        replace(CONTROLS[0], delta_r2=Estimate(0.10, 0.08, 0.12)),
        replace(CONTROLS[1], delta_r2=Estimate(0.12, 0.02, 0.22)),
        CONTROLS[2],
    ]
    said = verdict(controls=controls)
    assert said.answer == "INCONCLUSIVE"
    assert said.reasons[0].startswith("beyond controls: over histogram")


def test_an_attribute_that_could_not_be_measured_keeps_from_proceed():
    said = verdict(unmeasured={"y": "only 12 of 300 samples have it"})
    assert said.answer == "INCONCLUSIVE"
    assert said.reasons[0].endswith("; y was not measured: only 12 of 300 samples have it")


def test_recall_has_to_beat_chance_twice_over():
    many = Neighborhood(100, Estimate(0.69, 0.68, 0.70), 0.5, 0.5, 0.67)
    said = verdict(pair=replace(GOOD, neighborhood=[many]))
    assert said.reasons == ["neighbours: 0.690 (0.680 to 0.700) lies below 1.34"]


@pytest.mark.parametrize(("value", "answer"), [(0.61, "PROCEED"), (0.6, "no PROCEED")])
def test_the_study_would_have_said(value, answer):
    study = {**STUDY, "spearman": value}
    said = judge(GOOD, CONTROLS, [], None, 300, THRESHOLDS, labelled=False, unmeasured={}, study_values=study)
    assert said.study_answer == answer
    assert said.answer == "INCONCLUSIVE"


def test_a_bound_on_the_threshold_is_unclear():
    assert above("a", "b", Estimate(0.6, 0.5, 0.7), 0.5).outcome == "UNCLEAR"
