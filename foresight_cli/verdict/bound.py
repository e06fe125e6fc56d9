"""The comparison of an estimate with a threshold, by its bound and not its value."""

from __future__ import annotations

import math

from foresight_cli.results import Criterion, Estimate

PASS, FAIL, UNCLEAR, NOT_MEASURED, WAIVED = "PASS", "FAIL", "UNCLEAR", "NOT MEASURED", "WAIVED"
SEVERITY = (FAIL, UNCLEAR, NOT_MEASURED, PASS)
RISING = "and still rising with more samples"


def above(
    name: str,
    measures: str,
    estimate: Estimate,
    threshold: float,
    *,
    code: str,
    hope: float | None = 0.0,
    outlook: str = RISING,
    groups: int,
) -> Criterion:
    """Return PASS if the lower bound is above ``threshold``, FAIL if upper bound + ``hope`` is below it, else UNCLEAR.

    Args:
        name: of the criterion.
        measures: the measure, in words.
        estimate: with its one-sided bounds.
        threshold: set by policy.
        code: of an outcome other than PASS.
        hope: what more rows may add to the estimate; None if unknown: the criterion then cannot fail.
        outlook: end of the reason if only ``hope`` keeps the criterion from failing.
        groups: independent groups behind the estimate.
    """
    lower, upper = estimate.lower, estimate.upper
    if lower is None or upper is None or estimate.low is None or estimate.high is None:
        return Criterion(
            name, measures, estimate, threshold, NOT_MEASURED, "its interval was not measured", code="not-measured"
        )
    shown = f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"
    if lower > threshold:
        return Criterion(name, measures, estimate, threshold, PASS, f"{shown}, above {threshold:.3g}", bound=lower)
    reach = math.inf if hope is None else upper + hope
    if reach < threshold:
        reason = f"{shown}, below {threshold:.3g}"
        return Criterion(name, measures, estimate, threshold, FAIL, reason, bound=reach, code=code)
    below = upper < threshold
    ending = f"below {threshold:.3g} {outlook}" if below else f"too close to {threshold:.3g} to call"
    return Criterion(
        name,
        measures,
        estimate,
        threshold,
        UNCLEAR,
        f"{shown}, {ending}",
        bound=lower,
        code=code,
        groups_needed=_groups_needed(estimate, threshold, hope, groups),
    )


def _groups_needed(estimate: Estimate, threshold: float, hope: float | None, groups: int) -> int | None:
    """Return the number of groups at which a bound clears the threshold: the standard error falls as 1/sqrt(groups).

    None if no number does: the estimate is below the threshold, and ``hope`` may still raise it above.
    """
    assert estimate.lower is not None
    assert estimate.upper is not None
    if estimate.value > threshold:
        distance, error = estimate.value - threshold, estimate.value - estimate.lower
    else:
        distance = 0.0 if hope is None else threshold - estimate.value - hope
        error = estimate.upper - estimate.value
    if distance <= 0:
        return None
    needed = groups * (error / distance) ** 2
    return max(groups + 1, math.ceil(needed)) if needed < 1e7 else None
