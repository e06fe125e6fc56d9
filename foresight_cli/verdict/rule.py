"""PROCEED, PIVOT or INCONCLUSIVE: every criterion must pass by its bound; no other criterion makes up for a failure.

PROCEED requires PASS everywhere: each criterion passes wrongly with a probability of at most 5 %, and so does the
whole, whichever of them should have failed (an intersection-union test, Berger 1982). PIVOT requires a decisive
criterion whose *upper* bound, at 5 % shared by three, stays below its threshold even with the possible gain of more
rows. Everything else is INCONCLUSIVE, also a verdict without a required measure; only attributes may be missing from a
PIVOT. A criterion that the user waives may be missing, and is named with the answer; if it was measured, it still
counts. Thresholds are policy (``thresholds.*``), bounds are statistics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from foresight_cli.config import Thresholds, Waivers
from foresight_cli.results import Criterion, Verdict
from foresight_cli.verdict.bound import FAIL, NOT_MEASURED, PASS, UNCLEAR, WAIVED
from foresight_cli.verdict.criteria import (
    attributes_survive,
    beyond_categories,
    beyond_controls,
    dependence,
    pairing,
    predicts,
    sample_size,
    typical_samples,
    unseen_neighborhoods,
)
from foresight_cli.verdict.evidence import Evidence

STUDY_THRESHOLDS = {"r2": 0.5, "spearman": 0.6, "recall@10": 0.2, "cka": 0.4}
"""Of the Q1 study's rule, which is shown for comparison; the thresholds of this rule are in ``conf/analyze.yaml``."""


def judge(
    evidence: Evidence, thresholds: Thresholds, waivers: Waivers, *, study_values: Mapping[str, float]
) -> Verdict:
    """Return the verdict on one pair of spaces.

    Args:
        evidence: the measures.
        thresholds: set by policy.
        waivers: criteria that the user does not require.
        study_values: the Q1 study's four numbers on these data, by its methods; empty to leave its rule out.
    """
    criteria = [
        sample_size(evidence.groups, thresholds.min_groups),
        pairing(evidence),
        dependence(evidence, thresholds.r2),
        predicts(evidence, thresholds.r2),
        typical_samples(evidence, thresholds.r2),
        unseen_neighborhoods(evidence, thresholds.r2),
        beyond_controls(evidence, thresholds.delta, waived=waivers.controls == "waived"),
        beyond_categories(evidence, waived=waivers.categories == "waived"),
        attributes_survive(
            evidence, thresholds.retention, ceiling=thresholds.ceiling, waived=waivers.attributes == "waived"
        ),
    ]
    answer = _answer(criteria)
    limiting = _limiting(criteria) if answer == "INCONCLUSIVE" else None
    passed = all(study_values[key] > least for key, least in STUDY_THRESHOLDS.items()) if study_values else False
    return Verdict(
        answer=answer,
        reasons=[f"{c.name}: {c.reason}" for c in criteria if c.outcome not in (PASS, WAIVED)]
        or ["every criterion that was not waived passes" if waivers.waived else "every criterion passes"],
        criteria=criteria,
        study_answer="PROCEED" if passed else "no PROCEED",
        study_values=dict(study_values),
        study_thresholds=STUDY_THRESHOLDS,
        waived=waivers.waived,
        limiting=limiting.name if limiting else None,
        groups_needed=limiting.groups_needed if limiting else None,
    )


def _answer(criteria: Sequence[Criterion]) -> str:
    outcomes = {c.name: c.outcome for c in criteria}
    missing = [n for n, outcome in outcomes.items() if outcome == NOT_MEASURED and n != "attributes survive"]
    if missing or outcomes["sample size"] != PASS or outcomes["pairing"] != PASS:
        return "INCONCLUSIVE"
    if FAIL in outcomes.values():
        return "PIVOT"
    return "PROCEED" if all(outcome in (PASS, WAIVED) for outcome in outcomes.values()) else "INCONCLUSIVE"


def _limiting(criteria: Sequence[Criterion]) -> Criterion | None:
    """Return the first criterion that was not measured, or else the one that needs the most samples."""
    open_ones = [c for c in criteria if c.outcome in (UNCLEAR, NOT_MEASURED)]
    missing = [c for c in open_ones if c.outcome == NOT_MEASURED]
    return missing[0] if missing else max(open_ones, key=lambda c: c.groups_needed or math.inf, default=None)
