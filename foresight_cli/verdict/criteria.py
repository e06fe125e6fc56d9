"""The criteria of the verdict: each compares one piece of evidence with one threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from foresight_cli.config.controls import CONTROLS, LABEL
from foresight_cli.results import CURVE_SIZES, Attribute, Criterion, Estimate, PermutationTest
from foresight_cli.results.significance import ALPHA
from foresight_cli.verdict.bound import FAIL, NOT_MEASURED, PASS, RISING, SEVERITY, UNCLEAR, WAIVED, above
from foresight_cli.verdict.evidence import Evidence

ENOUGH_POWER = 0.8
DEPENDENCE = ("cka", "recall")
LEAST_SHARE = 0.5
"""Share of ``thresholds.r2`` that the median sample, and unseen neighbourhoods, must reach.

Both are harder to predict than all samples together: they only have to show that R2 is not due to outliers or repeats.
"""
SHIFTED_SHARE, SHIFTED_FLOOR = 0.5, 0.1
"""CKA that may remain with wrong pairs: half of the value, because of a real relation most is lost, or this much,
which wrong pairs of few samples have by chance."""
POSITION = ("x", "y", "position")


def _outlook(evidence: Evidence, *, probe: bool = False) -> str:
    """Return why a criterion below its threshold may still pass with more samples; ``probe``: for the linear probe.

    The other criteria have no learning curve: the possible gain of the probe's R2 is added to each of them.
    """
    if len(evidence.chosen.learning_curve) < CURVE_SIZES:
        return "with too few samples to tell whether more would raise it"
    return RISING if probe else "but the linear probe is still rising with more samples, and may raise this with it"


def sample_size(groups: int, least: int) -> Criterion:
    """Require at least ``least`` independent groups."""
    measures = "independent groups of samples"
    if groups >= least:
        return Criterion("sample size", measures, Estimate(groups), least, PASS, f"{groups} groups", "count", groups)
    reason = f"{groups} groups are too few to judge; at least {least} are needed"
    return Criterion(
        "sample size", measures, Estimate(groups), least, NOT_MEASURED, reason, "count", groups, "few-groups", least
    )


def pairing(evidence: Evidence) -> Criterion:
    """Assign each target row to another sample: a similarity that remains is not about the samples."""
    name, measures = "pairing", "debiased CKA left when each target goes to another sample"
    value, left = evidence.pair.cka.value, evidence.chosen.shifted_cka
    most = max(SHIFTED_SHARE * value, SHIFTED_FLOOR)
    shown = f"CKA {value:.3f} falls to {left:.3f}"
    if left <= most:
        return Criterion(name, measures, Estimate(left), most, PASS, shown, "ceiling", left)
    reason = f"CKA {value:.3f} stays at {left:.3f} when samples are paired wrongly: it is not about the samples"
    return Criterion(name, measures, Estimate(left), most, UNCLEAR, reason, "ceiling", left, "pairing-survives")


def dependence(evidence: Evidence, threshold: float) -> Criterion:
    """Require that more is shared than by chance, by the p value corrected for all pairs and measures."""
    name, measures = "dependence", "permutation test over all pairs, CKA and neighbours, p value"
    tests = [test for test in evidence.pair.tests if test.measure in DEPENDENCE]
    if not tests:
        return Criterion(
            name, measures, None, ALPHA, NOT_MEASURED, "no permutation test was made", "p value", code="not-measured"
        )
    p = min(test.p_corrected for test in tests)
    if p <= ALPHA:
        return Criterion(name, measures, Estimate(p), ALPHA, PASS, f"p = {p:.3g}: more than chance", "p value", p)
    reach = math.inf if evidence.pair.r2.upper is None else evidence.pair.r2.upper + (evidence.hope or 0.0)
    power = evidence.chosen.power
    if power >= ENOUGH_POWER and reach < threshold:
        reason = f"p = {p:.3g}: no more than chance; a real bridge would be found with probability {power:.0%}"
        return Criterion(name, measures, Estimate(p), ALPHA, FAIL, reason, "p value", p, "chance")
    reason = f"p = {p:.3g}: no more than chance, but a real bridge would be found with probability {power:.0%} only"
    if power >= ENOUGH_POWER:  # a few massive features can hide what a probe still finds
        reason = f"p = {p:.3g}: no more than chance in CKA and neighbours, but the linear probe finds more"
    return Criterion(name, measures, Estimate(p), ALPHA, UNCLEAR, reason, "p value", p, "chance")


def predicts(evidence: Evidence, threshold: float) -> Criterion:
    """Require that the source predicts the target on held-out rows."""
    measures = "held-out R2, source to target (ceiling 1: the target's own noise is not measured)"
    return above(
        "linear probe",
        measures,
        evidence.pair.r2,
        threshold,
        code="unpredictable",
        hope=evidence.hope,
        outlook=_outlook(evidence, probe=True),
        groups=evidence.groups,
    )


def typical_samples(evidence: Evidence, threshold: float) -> Criterion:
    """Require half of the threshold for the median sample, so that a few outliers are not enough."""
    return above(
        "typical samples",
        "held-out R2 of the median sample",
        evidence.chosen.r2_typical,
        LEAST_SHARE * threshold,
        code="few-samples-explain",
        hope=evidence.hope,
        outlook=_outlook(evidence),
        groups=evidence.groups,
    )


def unseen_neighborhoods(evidence: Evidence, threshold: float) -> Criterion:
    """Require half of the threshold with whole neighbourhoods held out: repeated inputs explain the rest."""
    name, measures = "unseen neighbourhoods", "held-out R2, whole neighbourhoods held out"
    if evidence.chosen.r2_unseen is None:
        reason, least = "too few samples to hold out neighbourhoods", evidence.unseen_groups
        needed = least if evidence.groups < least else None  # else there are too few that differ
        reason += f"; at least {needed} groups are needed" if needed else ""
        return Criterion(
            name, measures, None, LEAST_SHARE * threshold, NOT_MEASURED, reason, code="few-groups", groups_needed=needed
        )
    return above(
        name,
        measures,
        evidence.chosen.r2_unseen,
        LEAST_SHARE * threshold,
        code="repeats-explain",
        hope=evidence.hope,
        outlook=_outlook(evidence),
        groups=evidence.groups,
    )


def beyond_controls(evidence: Evidence, threshold: float, *, waived: bool) -> Criterion:
    """Require that the source adds to every control; the control with the worst outcome counts."""
    name, measures = "beyond controls", "R2 that the source adds to the hardest control"
    controls = evidence.controls
    required = [name for name, control in CONTROLS.items() if control.required and not waived]
    required += [LABEL] if evidence.labelled else []
    missing = sorted(set(required) - {c.name for c in controls})
    if missing:
        reason = f"the controls {', '.join(missing)} were not measured"
        return Criterion(name, measures, None, threshold, NOT_MEASURED, reason, code="not-measured")
    if not controls:
        return Criterion(name, measures, None, threshold, WAIVED, "waived, and no other control was measured")
    gain = partial(above, name, measures, code="", hope=evidence.hope, outlook=_outlook(evidence))
    judged = [(c, gain(c.delta_r2, threshold, groups=evidence.groups)) for c in controls]
    hardest, worst = min(judged, key=lambda f: (SEVERITY.index(f[1].outcome), f[0].delta_r2.value))
    reason = f"what the source adds to {hardest.name} (R2 {hardest.r2:.3f} by itself): {worst.reason}"
    code = "" if worst.outcome == PASS else f"control-explains:{hardest.name}"
    return Criterion(
        name,
        measures,
        hardest.delta_r2,
        threshold,
        worst.outcome,
        reason,
        "bound",
        worst.bound,
        code,
        worst.groups_needed,
    )


def beyond_categories(evidence: Evidence, *, waived: bool) -> Criterion:
    """Require that a permutation of rows within categories, and within clusters of the target, loses similarity.

    The clusters take the place of categories that are missing, or that are finer than those of the data.
    """
    name, measures = (
        "beyond categories",
        "permutation tests within categories and clusters, CKA and neighbours, p value",
    )
    if waived:
        return Criterion(name, measures, None, ALPHA, WAIVED, "waived", "p value")
    kinds = {"categories": evidence.chosen.within_label, "clusters of the target": evidence.chosen.within_clusters}
    p_values = {whose: _smallest_p(tests) for whose, tests in kinds.items() if tests}
    if "clusters of the target" not in p_values:
        return Criterion(
            name, measures, None, ALPHA, NOT_MEASURED, "no permutation test was made", "p value", code="not-measured"
        )
    whose = max(p_values, key=lambda kind: p_values[kind])
    p = p_values[whose]
    more = "" if evidence.labelled else " (the data has no categories that tell samples apart)"
    if p <= ALPHA:
        shared = f"p = {p:.3g}: more is shared than {' and '.join(p_values)}{more}"
        return Criterion(name, measures, Estimate(p), ALPHA, PASS, shared, "p value", p)
    reason = f"p = {p:.3g}: within {whose}, the two spaces share no more than chance{more}"
    return Criterion(name, measures, Estimate(p), ALPHA, UNCLEAR, reason, "p value", p, "categories-explain")


def _smallest_p(tests: Sequence[PermutationTest]) -> float:
    return min(test.p_corrected for test in tests if test.measure in DEPENDENCE)


def attributes_survive(evidence: Evidence, threshold: float, *, ceiling: float, waived: bool) -> Criterion:
    """Require that every attribute of the target can still be read from the target as predicted from the source.

    Args:
        evidence: with the attributes.
        threshold: the share of each that must be kept.
        ceiling: an attribute is judged if the lower bound of its R2 from the target reaches this.
        waived: whether attributes may be missing.
    """
    name, measures = "attributes survive", "smallest share of an attribute kept through the bridge"
    attributes, unmeasured, companion = evidence.chosen.attributes, evidence.unmeasured, evidence.chosen.companion
    judged = [(a, a.retention) for a in attributes if a.retention]
    left_out = "; ".join(f"{key} was not measured: {why}" for key, why in unmeasured.items())
    unread = ", ".join(_unread(a) for a in attributes if not a.retention)
    unread = f"as the lower bound of R2 from the target itself is below {ceiling:.3g}: {unread}" if unread else ""
    if not judged:
        if waived:
            return Criterion(name, measures, None, threshold, WAIVED, "waived: whether position survives is unknown")
        reason = left_out or "the data has no attributes (x, y, size ...), so whether position survives is unknown"
        code = "attributes-unread" if attributes or unmeasured else "attributes-not-measured"
        if unread:
            reason = f"no attribute is judged, {unread}" + (f"; {left_out}" if left_out else "")
        return Criterion(name, measures, None, threshold, NOT_MEASURED, reason, code=code)
    groups = evidence.attribute_groups or evidence.groups
    share = partial(above, name, measures, code="", hope=evidence.hope, outlook=_outlook(evidence))
    criteria = [(a, share(kept, threshold, groups=groups)) for a, kept in judged]
    attribute, worst = min(
        criteria, key=lambda f: (SEVERITY.index(f[1].outcome), f[1].estimate.value if f[1].estimate else 0)
    )
    lost = [a.name for a, criterion in criteria if criterion.outcome == FAIL]
    reason = _kept(attribute, worst)
    reason += f"; lost: {', '.join(lost)}" if lost else ""
    reason += f"; not judged, {unread}" if unread else ""
    reason += f"; {left_out}" if left_out else ""
    reason += f"; measured on the companion data {companion}" if companion else ""
    outcome = UNCLEAR if left_out and worst.outcome == PASS and not waived else worst.outcome
    of_position = any(a in POSITION for a in lost or [attribute.name])
    code = f"{'spatial' if of_position else 'attribute'}-retention:{','.join(lost) or attribute.name}"
    if worst.outcome == PASS:  # only the unmeasured attributes are open
        code = "" if outcome == PASS else "attributes-not-measured"
    return Criterion(
        name, measures, worst.estimate, threshold, outcome, reason, "bound", worst.bound, code, worst.groups_needed
    )


def _kept(attribute: Attribute, worst: Criterion) -> str:
    """Return the share of the attribute that loses most; for a share of 1, also why it is not more."""
    if not (attribute.kept_fully and worst.outcome == PASS):
        return f"{attribute.name} keeps {worst.reason}"
    through, direct = attribute.through_bridge, attribute.from_target
    better = f"; it is read better through the bridge (R2 {through:.3f}) than from the target (R2 {direct:.3f})"
    return f"{attribute.name} is kept fully: {worst.reason}{better if through > direct else ''}"


def _unread(attribute: Attribute) -> str:
    """Return the name of an attribute that is not judged, with the bound that decided."""
    if attribute.target_lower is None:
        return attribute.name
    return f"{attribute.name} (R2 {attribute.from_target:.3f}, lower bound {attribute.target_lower:.3f})"
