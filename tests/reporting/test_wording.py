"""Tests of the phrases that several reports share."""

import dataclasses

import pytest

from foresight_cli.reporting.wording import (
    against,
    clusters_band,
    control_meanings,
    decided_by,
    kept_share,
    limiting,
    outlook,
    scored_groups,
    threshold,
)
from foresight_cli.results import Attribute, Control, Criterion, Estimate, Verdict
from foresight_cli.results.numbers import fixed, rough, with_interval
from tests.reporting import example


@pytest.mark.parametrize(
    ("side", "silhouette", "accuracy", "band"),
    [
        ("source", 0.51, 0.81, "strong"),
        ("source", 0.51, 0.8, "moderate"),
        ("source", 0.1, 0.61, "moderate"),
        ("source", 0.3, 0.6, "weak"),
        ("target", 0.41, 0.71, "strong"),
        ("target", 0.2, 0.5, "weak"),
        ("target", None, 0.9, "not measured"),
    ],
)
def test_bands_of_the_study(side, silhouette, accuracy, band):
    space = example.full()[0].spaces[0]
    assert clusters_band(dataclasses.replace(space, side=side, silhouette=silhouette, knn_accuracy=accuracy)) == band


def bounded(lower, upper):
    return Estimate(0.6, 0.0, 1.0, lower=lower, upper=upper)


def test_against_a_threshold():
    assert against(bounded(0.55, 0.65), 0.5) == "above"
    assert against(bounded(0.45, 0.75), 0.5) == "not clearly above"
    assert against(bounded(0.35, 0.45), 0.5) == "below"
    assert against(bounded(0.5, 0.7), 0.5) == "not clearly above"
    assert against(Estimate(0.6), 0.5) == "above"
    assert against(Estimate(0.4), 0.5) == "below"
    assert against(Estimate(0.6), None) == ""


def held_up(name, outcome, needed, groups=267):
    counted = Criterion("sample size", "", Estimate(groups), 100, "PASS", "", "count")
    criteria = [counted, Criterion(name, "", None, 0.5, outcome, "")]
    return Verdict("INCONCLUSIVE", [], criteria, "", {}, {}, limiting=name, groups_needed=needed)


def unmeasured(name, code, needed=None):
    criterion = Criterion(name, "", None, 0.25, "NOT MEASURED", "", code=code, groups_needed=needed)
    counted = Criterion("sample size", "", Estimate(150), 100, "PASS", "", "count")
    return Verdict("INCONCLUSIVE", [], [counted, criterion], "", {}, {}, limiting=name, groups_needed=needed)


def few(groups):
    counted = Criterion("sample size", "", Estimate(groups), 100, "NOT MEASURED", "", "count")
    return Verdict("INCONCLUSIVE", [], [counted], "", {}, {}, limiting="sample size", groups_needed=100)


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        (
            held_up("linear probe", "UNCLEAR", 1200),
            "linear probe. About 1,200 independent samples would decide it; you have 267.",
        ),
        (few(52), "sample size. At least 100 independent samples are needed; you have 52."),
        (
            held_up("pairing", "UNCLEAR", None),
            "pairing. How many samples would decide it cannot be estimated; you have 267.",
        ),
        (
            held_up("beyond controls", "NOT MEASURED", None),
            "beyond controls. It was not measured, and more samples alone will not decide it.",
        ),
        (dataclasses.replace(held_up("a", "FAIL", None), limiting=None), None),
        (
            dataclasses.replace(held_up("a", "UNCLEAR", 318), criteria=[]),
            "a. About 320 independent samples would decide it.",
        ),
        (
            held_up("linear probe", "UNCLEAR", 254, groups=253),
            "linear probe. About 260 independent samples would decide it; you have 253.",
        ),
        (
            unmeasured("unseen neighbourhoods", "few-groups", 200),
            "unseen neighbourhoods. At least 200 independent samples are needed; you have 150.",
        ),
        (
            unmeasured("unseen neighbourhoods", "few-groups"),
            "unseen neighbourhoods. It was not measured, and how many samples are needed cannot be estimated; "
            "you have 150.",
        ),
        (
            unmeasured("attributes survive", "attributes-not-measured"),
            "attributes survive. It was not measured, and more samples alone will not decide it.",
        ),
    ],
)
def test_what_holds_up_an_answer(verdict, sentence):
    assert limiting(verdict, None, fixed, rough) == sentence


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        (
            held_up("attributes survive", "UNCLEAR", 508, groups=1000),
            "attributes survive. About 510 independent drawings would decide it; you have shapes (200 drawings).",
        ),
        (
            held_up("attributes survive", "UNCLEAR", None, groups=1000),
            "attributes survive. How many drawings would decide it cannot be estimated; you have shapes (200 "
            "drawings).",
        ),
        (
            unmeasured("attributes survive", "attributes-unread"),
            "attributes survive. It was not measured, and how many drawings are needed cannot be estimated; you "
            "have shapes (200 drawings).",
        ),
        (
            held_up("linear probe", "UNCLEAR", 1200),
            "linear probe. About 1,200 independent samples would decide it; you have 267.",
        ),
    ],
)
def test_attributes_of_a_companion_are_decided_by_drawings(verdict, sentence):
    assert limiting(verdict, "shapes (200 drawings)", fixed, rough) == sentence


def test_what_decides_one_criterion():
    unclear = Criterion("attributes survive", "", None, 0.7, "UNCLEAR", "", groups_needed=508)
    drawings, samples = "shapes (200 drawings)", dataclasses.replace(unclear, name="linear probe")
    assert decided_by(unclear, drawings, rough) == "About 510 independent drawings would decide it."
    assert decided_by(unclear, None, rough) == "About 510 independent samples would decide it."
    assert decided_by(samples, drawings, rough) == "About 510 independent samples would decide it."
    assert decided_by(dataclasses.replace(unclear, outcome="NOT MEASURED"), None, rough) == ""
    assert decided_by(dataclasses.replace(unclear, groups_needed=None), None, rough) == ""


@pytest.mark.parametrize("have", [1, 9, 10, 99, 100, 253, 999, 1000, 12345])
def test_a_rough_count_is_above_what_there_is(have):
    assert int(rough(have + 1).replace(",", "")) > have


def test_groups_that_the_verdict_is_based_on():
    assert scored_groups(example.full()[0].verdict) == 267
    assert scored_groups(example.bare()[0].verdict) is None


def test_thresholds_come_from_the_settings():
    assert threshold(example.full()[0], "r2") == 0.5
    assert threshold(example.bare()[0], "r2") is None


@pytest.mark.parametrize(
    ("sizes", "limit", "words"),
    [
        (4, 0.729, "with unlimited data R² might reach at most 0.729"),
        (4, 1.3, "with unlimited data R² might reach at most 1.000"),
        (
            4,
            None,
            "R² still rises with more samples and its learning curve has not levelled off: no limit can be estimated",
        ),
        (2, None, "too few samples for a learning curve that shows whether more would raise R²"),
        (0, None, "too few samples for a learning curve that shows whether more would raise R²"),
    ],
)
def test_what_the_learning_curve_says_of_more_rows(sizes, limit, words):
    results, _ = example.full()
    curve = results.chosen.learning_curve[:sizes]
    results = dataclasses.replace(
        results, chosen=dataclasses.replace(results.chosen, learning_curve=curve, r2_limit=limit)
    )
    assert outlook(results, fixed) == words


@pytest.mark.parametrize(
    ("attribute", "words"),
    [
        (Attribute("x", 0.4, 0.9, 0.2, Estimate(0.237, 0.19, 0.28), 0.88), "0.237 (0.190 to 0.280)"),
        (
            Attribute("size", 0.9, 0.611, 0.944, Estimate(1.546, 1.255, 2.019), 0.55),
            "1.000 (1.000 to 1.000), fully",
        ),
        (
            Attribute("y", 0.4, 0.311, 0.2, None, 0.262),
            "not judged: lower bound in the target, 0.262, below 0.300",
        ),
        (Attribute("y", 0.4, 0.311, 0.2, None), "not judged: hardly readable from the target itself"),
    ],
)
def test_the_share_of_an_attribute_in_words(attribute, words):
    assert kept_share(attribute, 0.3, fixed, with_interval) == words


def test_only_the_controls_of_the_table_are_explained():
    names = ("random_network", "own", "all_controls")
    assert control_meanings([Control(name, 0.5, None, None, None, Estimate(0.1)) for name in names]) == [
        ("random_network", "a small convolutional network with random weights"),
        ("all_controls", "all of them fitted together, which may score below the best of them"),
    ]
