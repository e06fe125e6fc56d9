"""An estimate held against a threshold: on its bound, not on its value."""

from __future__ import annotations

import math

from foresight_cli.results import Criterion, Estimate

PASS, FAIL, UNCLEAR, NOT_MEASURED, WAIVED = "PASS", "FAIL", "UNCLEAR", "NOT MEASURED", "WAIVED"
SEVERITY = (FAIL, UNCLEAR, NOT_MEASURED, PASS)


def above(
    name: str, measures: str, estimate: Estimate, threshold: float, *, code: str, hope: float | None = 0.0, groups: int
) -> Criterion:
    """PASS if the lower bound lies above ``threshold``, FAIL if the upper one and ``hope`` lie below it, else UNCLEAR.

    Args:
        name: of the criterion.
        measures: what it looks at.
        estimate: with its one-sided bounds.
        threshold: policy.
        code: of an outcome that is no PASS.
        hope: what more rows may add to the estimate; None if nobody knows, and then nothing fails.
        groups: independent groups behind the estimate.
    """
    lower, upper = estimate.lower, estimate.upper
    if lower is None or upper is None or estimate.low is None or estimate.high is None:
        return Criterion(
            name, measures, estimate, threshold, NOT_MEASURED, "its interval was not measured", code="not-measured"
        )
    shown = f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"
    if lower > threshold:
        return Criterion(name, measures, estimate, threshold, PASS, f"{shown} lies above {threshold:.3g}", bound=lower)
    reach = math.inf if hope is None else upper + hope
    if reach < threshold:
        said = f"{shown} lies below {threshold:.3g}"
        return Criterion(name, measures, estimate, threshold, FAIL, said, bound=reach, code=code)
    needed = _groups_needed(estimate, threshold, groups)
    below = upper < threshold
    reason = f"{shown} does not settle on a side of {threshold:.3g}"
    if below:
        rises = "still rises with the number of samples"
        more = "how far more samples may raise it is not known" if hope is None else rises
        reason = f"{shown} lies below {threshold:.3g}, but {more}"
    return Criterion(
        name,
        measures,
        estimate,
        threshold,
        UNCLEAR,
        reason,
        bound=lower,
        code=code,
        groups_needed=2 * groups if below else needed,
    )


def _groups_needed(estimate: Estimate, threshold: float, groups: int) -> int | None:
    """Errors shrink as one over the root of the groups: how many until the bound clears the threshold."""
    assert estimate.lower is not None
    assert estimate.upper is not None
    distance = estimate.value - threshold
    error = estimate.value - estimate.lower if distance > 0 else estimate.upper - estimate.value
    if distance == 0:
        return None
    needed = groups * (error / distance) ** 2
    return max(groups + 1, math.ceil(needed)) if needed < 1e7 else None
