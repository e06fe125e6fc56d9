"""PROCEED, PIVOT or INCONCLUSIVE: every criterion must pass on its interval's bound; nothing buys off a failure.

PROCEED wants PASS everywhere. PIVOT is said when a decisive criterion FAILs: the bridge predicts too little, adds
nothing to a control without a network, or loses an attribute. All else is INCONCLUSIVE, and so is any verdict that
lacks a required measure; attributes alone may be missing from a PIVOT, never from a PROCEED. The thresholds are policy
(``thresholds.*``); the intervals are statistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from foresight_cli.config import Thresholds
from foresight_cli.results import Attribute, Control, Criterion, Estimate, Neighborhood, Pair, Verdict

PASS, FAIL, UNCLEAR, NOT_MEASURED = "PASS", "FAIL", "UNCLEAR", "NOT MEASURED"
SEVERITY = (FAIL, UNCLEAR, NOT_MEASURED, PASS)
REQUIRED_CONTROLS = ("pixels", "histogram")
DECISIVE = ("linear probe", "beyond controls", "attributes survive")
STUDY_THRESHOLDS = {"r2": 0.5, "spearman": 0.6, "recall@10": 0.2, "cka": 0.4}


def judge(
    pair: Pair,
    controls: Sequence[Control],
    attributes: Sequence[Attribute],
    within_label: Estimate | None,
    groups: int,
    thresholds: Thresholds,
    *,
    labelled: bool,
    unmeasured: Mapping[str, str],
    study_values: dict[str, float],
) -> Verdict:
    """The verdict on one pair of spaces.

    Args:
        pair: the chosen pair, with intervals.
        controls: what trivial representations score.
        attributes: what survives the bridge.
        within_label: Mantel's test within categories; None where there are no categories.
        groups: independent groups that were scored.
        thresholds: policy.
        labelled: whether any sample has a category; then categories must be ruled out as the explanation.
        unmeasured: attributes that could not be measured, with the reason.
        study_values: the Q1 study's four numbers on these data, computed its way.
    """
    criteria = [
        _size(groups, thresholds.min_groups),
        above("linear probe", "held-out R2, source to target", pair.r2, thresholds.r2),
        above("distances", "rank correlation of distances (RSA, Spearman)", pair.spearman, thresholds.spearman),
        _neighbours(pair.neighborhood[0], thresholds.recall),
        above("alignment", "debiased linear CKA", pair.cka, thresholds.cka),
        _beyond_controls(controls, [*REQUIRED_CONTROLS, *(["label"] if labelled else [])], thresholds.delta),
        _within(within_label),
        _attributes_survive(attributes, unmeasured, thresholds.retention),
    ]
    answer = _answer(criteria)
    return Verdict(
        answer=answer,
        reasons=[f"{c.name}: {c.reason}" for c in criteria if c.outcome != PASS] or ["every criterion passes"],
        criteria=criteria,
        study_answer="PROCEED" if all(study_values[k] > t for k, t in STUDY_THRESHOLDS.items()) else "no PROCEED",
        study_values=study_values,
        study_thresholds=STUDY_THRESHOLDS,
    )


def above(name: str, measures: str, estimate: Estimate, threshold: float) -> Criterion:
    """PASS if the interval lies above ``threshold``, FAIL if below it, UNCLEAR if it holds it."""
    low, high = estimate.low, estimate.high
    if low is None or high is None:
        return Criterion(name, measures, estimate, threshold, NOT_MEASURED, "its interval was not measured")
    shown = f"{estimate.value:.3f} ({low:.3f} to {high:.3f})"
    if low > threshold:
        return Criterion(name, measures, estimate, threshold, PASS, f"{shown} lies above {threshold:.3g}")
    if high < threshold:
        return Criterion(name, measures, estimate, threshold, FAIL, f"{shown} lies below {threshold:.3g}")
    return Criterion(
        name, measures, estimate, threshold, UNCLEAR, f"{shown} does not settle on a side of {threshold:.3g}"
    )


def _answer(criteria: Sequence[Criterion]) -> str:
    outcomes = {c.name: c.outcome for c in criteria}
    missing = [n for n, outcome in outcomes.items() if outcome == NOT_MEASURED and n != "attributes survive"]
    if missing or outcomes["sample size"] != PASS:
        return "INCONCLUSIVE"
    if any(outcomes[name] == FAIL for name in DECISIVE):
        return "PIVOT"
    return "PROCEED" if all(outcome == PASS for outcome in outcomes.values()) else "INCONCLUSIVE"


def _size(groups: int, least: int) -> Criterion:
    measures = "independent groups of samples"
    if groups >= least:
        return Criterion("sample size", measures, Estimate(groups), least, PASS, f"{groups} groups", "count")
    reason = f"{groups} groups are too few to judge; at least {least} are wanted"
    return Criterion("sample size", measures, Estimate(groups), least, NOT_MEASURED, reason, "count")


def _beyond_controls(controls: Sequence[Control], required: Sequence[str], threshold: float) -> Criterion:
    name, measures = "beyond controls", "R2 that the source adds to the hardest control"
    missing = sorted(set(required) - {c.name for c in controls})
    if missing or not controls:
        said = f"the controls {', '.join(missing)} were not measured" if missing else "no control was asked for"
        return Criterion(name, measures, None, threshold, NOT_MEASURED, said)
    judged = [(control, above(name, measures, control.delta_r2, threshold)) for control in controls]
    hardest, found = min(judged, key=lambda j: (SEVERITY.index(j[1].outcome), j[0].delta_r2.value))
    reason = f"over {hardest.name} (R2 {hardest.r2:.3f} by itself) the source adds {found.reason}"
    return Criterion(name, measures, hardest.delta_r2, threshold, found.outcome, reason)


def _neighbours(found: Neighborhood, threshold: float) -> Criterion:
    """Recall has to exceed twice what chance gives as well: with many neighbours of few rows, chance alone is high."""
    return above("neighbours", f"recall@{found.k}", found.recall, max(threshold, 2 * found.expected))


def _within(test: Estimate | None) -> Criterion:
    name, measures = "beyond categories", "Mantel test within categories, p value"
    if test is None or test.p_value is None:
        reason = "the data has no categories, so whether they alone explain the likeness is not known"
        return Criterion(name, measures, None, 0.05, NOT_MEASURED, reason, "p value")
    p = test.p_value
    estimate = Estimate(p)
    if p <= 0.05:
        shared = f"p = {p:.3g}: more is shared than categories"
        return Criterion(name, measures, estimate, 0.05, PASS, shared, "p value")
    reason = f"p = {p:.3g}: within a category, the two spaces share no more than chance"
    return Criterion(name, measures, estimate, 0.05, UNCLEAR, reason, "p value")


def _attributes_survive(attributes: Sequence[Attribute], unmeasured: Mapping[str, str], threshold: float) -> Criterion:
    name, measures = "attributes survive", "worst retention of an attribute through the bridge"
    judged = [a for a in attributes if a.retention]
    left_out = "; ".join(f"{key} was not measured: {why}" for key, why in unmeasured.items())
    if not judged:
        reason = (
            "the target holds none of the data's attributes well enough to judge"
            if attributes
            else "the data has no attributes (x, y, size ...), so whether position survives is not known"
        )
        return Criterion(name, measures, None, threshold, NOT_MEASURED, left_out or reason)
    found = [(a.name, above(name, measures, a.retention, threshold)) for a in judged if a.retention]
    attribute, worst = min(
        found, key=lambda f: (SEVERITY.index(f[1].outcome), f[1].estimate.value if f[1].estimate else 0)
    )
    lost = [a for a, criterion in found if criterion.outcome == FAIL]
    absent = [a.name for a in attributes if not a.retention]
    reason = f"{attribute} keeps {worst.reason}"
    reason += f"; lost: {', '.join(lost)}" if lost else ""
    reason += f"; not held by the target itself: {', '.join(absent)}" if absent else ""
    reason += f"; {left_out}" if left_out else ""
    outcome = UNCLEAR if left_out and worst.outcome == PASS else worst.outcome
    return Criterion(name, measures, worst.estimate, threshold, outcome, reason)
