"""The verdict of a made-up analysis, and the permutation tests behind it; see example.py."""

from __future__ import annotations

from foresight_cli.results import Criterion, Estimate, PermutationTest, Verdict

STUDY = {"r2": 0.5, "spearman": 0.6, "recall@10": 0.2, "cka": 0.4}


def bounded(value, half=0.03, chance=None, p=None):
    """Return an estimate with an interval of ``half`` to either side, and one-sided bounds."""
    return Estimate(value, value - half, value + half, chance, p, value - 0.84 * half, value + 1.09 * half)


def permutation_tests(corrected=0.001):
    return [
        PermutationTest("cka", 0.61, 0.001, 0.012, 0.001, corrected, 0.602, 0.038),
        PermutationTest("spearman", 0.684, -0.002, 0.031, 0.001, corrected, 0.667, 0.09),
        PermutationTest("recall", 0.268, 0.037, 0.006, 0.001, corrected, 0.232, 0.06),
    ]


def settled(name, measures, value, threshold, reason, kind):
    return Criterion(name, measures, Estimate(value), threshold, "PASS", reason, kind, value)


def verdict():
    """Return PIVOT: position is lost; one criterion is unclear, the others pass."""
    r2, typical, delta, kept = (
        bounded(0.56, 0.022), bounded(0.53, 0.025), bounded(0.063, 0.021), bounded(0.237, 0.045),
    )  # fmt: skip
    unclear = "what the source adds to pixels (R2 0.482 by itself): 0.063 (0.042 to 0.084), too close to 0.05 to call"
    lost = (
        "x keeps 0.237 (0.192 to 0.282), below 0.7; lost: x, y; not judged, as the lower bound of R2 from the target "
        "itself is below 0.3: hue (R2 0.210, lower bound 0.162)"
    )
    added = "R2 that the source adds to the hardest control"
    criteria = [
        settled("sample size", "independent groups of samples", 267.0, 100.0, "267 groups", "count"),
        settled("pairing", "debiased CKA left", 0.012, 0.305, "CKA 0.610 falls to 0.012", "ceiling"),
        settled("dependence", "permutation test, p value", 0.001, 0.05, "p = 0.001: more than chance", "p value"),
        Criterion("linear probe", "held-out R2, source to target", r2, 0.5, "PASS",
                  "0.560 (0.538 to 0.582), above 0.5", "bound", r2.lower),
        Criterion("typical samples", "held-out R2 without the farthest", typical, 0.25, "PASS",
                  "0.530 (0.505 to 0.555), above 0.25", "bound", typical.lower),
        Criterion("beyond controls", added, delta, 0.05, "UNCLEAR", unclear, "bound", delta.lower,
                  "control-explains:pixels", 492),
        settled("beyond categories", "permutation test within categories, p value", 0.001, 0.05,
                "p = 0.001: more is shared than categories", "p value"),
        Criterion("attributes survive", "worst retention of an attribute", kept, 0.7, "FAIL", lost, "bound",
                  kept.upper, "spatial-retention:x,y"),
    ]  # fmt: skip
    return Verdict(
        answer="PIVOT",
        reasons=[f"{c.name}: {c.reason}" for c in criteria if c.outcome != "PASS"],
        criteria=criteria,
        study_answer="PROCEED",
        study_values={"r2": 0.612, "spearman": 0.684, "recall@10": 0.298, "cka": 0.702},
        study_thresholds=STUDY,
    )


def open_verdict():
    """Return INCONCLUSIVE, with attributes waived: more samples would settle what the source adds to a control."""
    waived = Criterion("attributes survive", "worst retention of an attribute", None, 0.7, "WAIVED",
                       "waived: whether position survives is unknown")  # fmt: skip
    criteria = [*verdict().criteria[:-1], waived]
    return Verdict(
        answer="INCONCLUSIVE",
        reasons=[f"{c.name}: {c.reason}" for c in criteria if c.outcome == "UNCLEAR"],
        criteria=criteria,
        study_answer="PROCEED",
        study_values={"r2": 0.612, "spearman": 0.684, "recall@10": 0.298, "cka": 0.702},
        study_thresholds=STUDY,
        waived=["attributes"],
        limiting="beyond controls",
        groups_needed=492,
    )


def bare_verdict():
    """Return INCONCLUSIVE: almost nothing was measured."""
    criteria = [
        Criterion("linear probe", "held-out R2", Estimate(0.56), 0.5, "NOT MEASURED", "its interval was not measured",
                  code="not-measured"),
        Criterion("beyond controls", "R2 added", None, None, "NOT MEASURED", "no control was asked for",
                  code="not-measured"),
    ]  # fmt: skip
    reasons = ["beyond controls: no control was asked for"]
    return Verdict("INCONCLUSIVE", reasons, criteria, "no PROCEED", {}, {}, limiting="beyond controls")
