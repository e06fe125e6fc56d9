"""Tests of every criterion with every outcome: its message, bound, code and number of samples needed."""

from dataclasses import replace

import pytest

from foresight_cli.verdict.criteria import (
    beyond_categories,
    beyond_controls,
    dependence,
    pairing,
    predicts,
    sample_size,
    typical_samples,
    unseen_neighborhoods,
)
from tests.verdict.made_evidence import CONTROLS, control, estimate, evidence, permuted

WITH_THE_PROBE = "but the linear probe is still rising with more samples, and may raise this with it"


def summary(criterion):
    return criterion.outcome, criterion.reason, criterion.bound, criterion.code, criterion.groups_needed


def test_sample_size():
    assert summary(sample_size(100, 100)) == ("PASS", "100 groups", 100, "", None)
    reason = "99 groups are too few to judge; at least 100 are needed"
    assert summary(sample_size(99, 100)) == ("NOT MEASURED", reason, 99, "few-groups", 100)
    assert sample_size(99, 100).kind == "count"


@pytest.mark.parametrize(
    ("cka", "left", "most", "outcome", "reason", "code"),
    [
        (0.6, 0.3, 0.3, "PASS", "CKA 0.600 falls to 0.300", ""),
        (0.1, 0.1, 0.1, "PASS", "CKA 0.100 falls to 0.100", ""),  # nothing to destroy
        (
            0.6,
            0.31,
            0.3,
            "UNCLEAR",
            "CKA 0.600 stays at 0.310 when samples are paired wrongly: it is not about the samples",
            "pairing-survives",
        ),
    ],
)
def test_pairing(cka, left, most, outcome, reason, code):
    result = pairing(evidence(cka=estimate(cka), shifted_cka=left))
    assert summary(result) == (outcome, reason, left, code, None)
    assert (result.kind, result.threshold) == ("ceiling", most)


@pytest.mark.parametrize(
    ("tests", "power", "expected"),
    [
        (permuted(0.05), 0.0, ("PASS", "p = 0.05: more than chance", 0.05, "", None)),
        (
            permuted(0.051),
            0.8,
            (
                "FAIL",
                "p = 0.051: no more than chance; a real bridge would be found with probability 80%",
                0.051,
                "chance",
                None,
            ),
        ),
        (
            permuted(0.4),
            0.79,
            (
                "UNCLEAR",
                "p = 0.4: no more than chance, but a real bridge would be found with probability 79% only",
                0.4,
                "chance",
                None,
            ),
        ),
        ([], 1.0, ("NOT MEASURED", "no permutation test was made", None, "not-measured", None)),
    ],
)
def test_dependence(tests, power, expected):
    result = dependence(evidence(tests=tests, power=power, r2=estimate(0.0)), 0.5)
    assert summary(result) == expected
    assert (result.kind, result.threshold) == ("p value", 0.05)


def test_dependence_looks_at_cka_and_neighbours_and_not_at_distances():
    cka, spearman, recall = permuted(0.5, spearman=0.001)
    assert dependence(evidence(tests=[cka, spearman, recall]), 0.5).bound == 0.5
    assert dependence(evidence(tests=[cka, spearman, replace(recall, p_corrected=0.01)]), 0.5).bound == 0.01
    assert dependence(evidence(tests=[spearman]), 0.5).outcome == "NOT MEASURED"


def test_dependence_does_not_fail_what_the_probe_finds():
    """Check massive columns without meaning: they hide CKA and neighbours, but the probe standardises them."""
    result = dependence(evidence(tests=permuted(0.4), power=1.0), 0.5)
    reason = "p = 0.4: no more than chance in CKA and neighbours, but the linear probe finds more"
    assert summary(result) == ("UNCLEAR", reason, 0.4, "chance", None)


def test_dependence_takes_the_corrected_p_value():
    tests = [replace(test, p_value=0.001, p_corrected=0.3) for test in permuted(0.3)]
    assert dependence(evidence(tests=tests, power=0.0), 0.5).outcome == "UNCLEAR"


def test_linear_probe():
    result = predicts(evidence(r2=estimate(0.3)), 0.5)
    assert summary(result)[:2] == ("FAIL", "0.300 (0.200 to 0.400), below 0.5")
    assert (result.name, result.code) == ("linear probe", "unpredictable")
    assert predicts(evidence(r2=estimate(0.3), hope=0.2), 0.5).outcome == "UNCLEAR"


def test_typical_samples_must_keep_half_of_what_is_wanted():
    assert typical_samples(evidence(r2_typical=estimate(0.36)), 0.5).outcome == "PASS"
    result = typical_samples(evidence(r2_typical=estimate(0.125, 0.0625)), 0.5)
    reason = "0.125 (0.062 to 0.188), below 0.25"
    assert summary(result) == ("FAIL", reason, 0.1875, "few-samples-explain", None)
    assert result.threshold == 0.25


def test_unseen_neighbourhoods_must_keep_half_of_what_is_wanted():
    assert unseen_neighborhoods(evidence(r2_unseen=estimate(0.36)), 0.5).outcome == "PASS"
    result = unseen_neighborhoods(evidence(r2_unseen=estimate(0.125, 0.0625)), 0.5)
    reason = "0.125 (0.062 to 0.188), below 0.25"
    assert summary(result) == ("FAIL", reason, 0.1875, "repeats-explain", None)
    missing = "too few samples to hold out neighbourhoods"
    assert summary(unseen_neighborhoods(evidence(r2_unseen=None), 0.5)) == (
        "NOT MEASURED",
        missing,
        None,
        "few-groups",
        None,
    )
    few = unseen_neighborhoods(evidence(r2_unseen=None, groups=150, unseen_groups=200), 0.5)
    reason = f"{missing}; at least 200 groups are needed"
    assert summary(few) == ("NOT MEASURED", reason, None, "few-groups", 200)
    alike = unseen_neighborhoods(evidence(r2_unseen=None, groups=200, unseen_groups=200), 0.5)
    assert summary(alike) == ("NOT MEASURED", missing, None, "few-groups", None)


# --- beyond controls


def test_every_control_is_beaten():
    result = beyond_controls(evidence(), 0.05, waived=False)
    reason = "what the source adds to pixels (R2 0.300 by itself): 0.300 (0.200 to 0.400), above 0.05"
    assert (result.outcome, result.reason, result.code) == ("PASS", reason, "")


@pytest.mark.parametrize(
    ("delta", "hope", "outcome", "ending"),
    [
        (0.0, 0.0, "FAIL", "0.000 (-0.031 to 0.031), below 0.05"),
        (0.0, 0.1, "UNCLEAR", f"0.000 (-0.031 to 0.031), below 0.05 {WITH_THE_PROBE}"),
        (0.0625, 0.0, "UNCLEAR", "0.062 (0.031 to 0.094), too close to 0.05 to call"),
    ],
)
def test_the_hardest_control_is_named(delta, hope, outcome, ending):
    controls = [control("pixels", 0.8, delta, 0.03125), *(control(name) for name in CONTROLS[1:])]
    result = beyond_controls(evidence(controls=controls, hope=hope), 0.05, waived=False)
    reason = f"what the source adds to pixels (R2 0.800 by itself): {ending}"
    assert (result.outcome, result.reason, result.code) == (outcome, reason, "control-explains:pixels")


def test_the_control_with_the_worst_outcome_counts_not_the_one_with_the_lowest_estimate():
    controls = [control("pixels", delta=0.10, half=0.02), control("histogram", delta=0.12, half=0.1)]
    result = beyond_controls(evidence(controls=[*controls, *map(control, CONTROLS[2:])]), 0.05, waived=False)
    assert (result.outcome, result.code) == ("UNCLEAR", "control-explains:histogram")


def test_a_control_that_is_not_required_counts_too():
    controls = [*map(control, CONTROLS), control("random_init", 0.69, 0.0, 0.01)]
    result = beyond_controls(evidence(controls=controls), 0.05, waived=False)
    assert (result.outcome, result.code) == ("FAIL", "control-explains:random_init")


@pytest.mark.parametrize(
    ("measured", "labelled", "reason"),
    [
        ([], True, "the controls histogram, label, mean_rgb, pixels, random_network were not measured"),
        ([], False, "the controls histogram, mean_rgb, pixels, random_network were not measured"),
        (["pixels", "histogram", "mean_rgb", "random_network"], True, "the controls label were not measured"),
    ],
)
def test_controls_that_are_missing(measured, labelled, reason):
    measures = evidence(controls=[control(name) for name in measured], within_label=permuted(0.01) if labelled else [])
    result = beyond_controls(measures, 0.05, waived=False)
    assert summary(result) == ("NOT MEASURED", reason, None, "not-measured", None)


def test_waived_controls():
    result = beyond_controls(evidence(controls=[], within_label=[]), 0.05, waived=True)
    assert summary(result) == ("WAIVED", "waived, and no other control was measured", None, "", None)
    labels = evidence(controls=[control("label", 0.69, 0.0, 0.01)])
    assert beyond_controls(labels, 0.05, waived=True).code == "control-explains:label"
    assert beyond_controls(evidence(controls=[]), 0.05, waived=True).reason == "the controls label were not measured"


# --- beyond categories


NO_LABELS = " (the data has no categories that tell samples apart)"
BOTH = "categories and clusters of the target"


@pytest.mark.parametrize(
    ("by_label", "by_cluster", "expected"),
    [
        (0.05, 0.01, ("PASS", f"p = 0.05: more is shared than {BOTH}", 0.05, "", None)),
        (0.01, 0.05, ("PASS", f"p = 0.05: more is shared than {BOTH}", 0.05, "", None)),
        (None, 0.05, ("PASS", f"p = 0.05: more is shared than clusters of the target{NO_LABELS}", 0.05, "", None)),
        (
            0.2,
            0.01,
            (
                "UNCLEAR",
                "p = 0.2: within categories, the two spaces share no more than chance",
                0.2,
                "categories-explain",
                None,
            ),
        ),
        (
            0.01,
            0.2,
            (
                "UNCLEAR",
                "p = 0.2: within clusters of the target, the two spaces share no more than chance",
                0.2,
                "categories-explain",
                None,
            ),
        ),
        (
            None,
            0.2,
            (
                "UNCLEAR",
                f"p = 0.2: within clusters of the target, the two spaces share no more than chance{NO_LABELS}",
                0.2,
                "categories-explain",
                None,
            ),
        ),
    ],
)
def test_beyond_categories(by_label, by_cluster, expected):
    labels = [] if by_label is None else permuted(by_label)
    measures = evidence(within_label=labels, within_clusters=permuted(by_cluster))
    result = beyond_categories(measures, waived=False)
    assert summary(result) == expected
    assert result.kind == "p value"


def test_categories_untested_or_waived():
    untested = beyond_categories(evidence(within_label=[], within_clusters=[]), waived=False)
    assert summary(untested) == ("NOT MEASURED", "no permutation test was made", None, "not-measured", None)
    assert summary(beyond_categories(evidence(), waived=True)) == ("WAIVED", "waived", None, "", None)
