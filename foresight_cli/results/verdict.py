"""The verdict and its criteria, as in ``results.yaml``."""

from __future__ import annotations

from dataclasses import dataclass, field

from foresight_cli.results.estimates import Estimate


@dataclass(frozen=True)
class Criterion:
    """One line of the verdict.

    Attributes:
        outcome: PASS (the lower bound is above the threshold), FAIL (the upper bound is below it), UNCLEAR (neither),
            NOT MEASURED or WAIVED (by the user).
        reason: the reason of the outcome, in one sentence.
        kind: ``bound`` (its lower bound must be above the threshold), ``count`` (at least the threshold), ``p value``
            (at most the threshold) or ``ceiling`` (at most the threshold).
        bound: the number compared with the threshold: the lower bound, or for FAIL the upper one.
        code: a word for the outcome's reason, for programs; "" for PASS.
        groups_needed: about how many independent groups would decide it, by the standard error alone, or let it be
            measured; of the companion data for attributes that were measured there. None if it is decided, or if no
            number can be estimated, for example because more samples may still raise the estimate.
    """

    name: str
    measures: str
    estimate: Estimate | None
    threshold: float | None
    outcome: str
    reason: str
    kind: str = "bound"
    bound: float | None = None
    code: str = ""
    groups_needed: int | None = None


@dataclass(frozen=True)
class Verdict:
    """PROCEED, PIVOT or INCONCLUSIVE, and the reasons; also the answer of the Q1 study's four thresholds.

    Attributes:
        waived: criteria that the user waived, as with ``verdict.attributes=waived``; shown with the answer.
        limiting: the criterion that most prevents a decision; None if there is a decision.
        groups_needed: that of the limiting criterion; None if no number can be estimated.
    """

    answer: str
    reasons: list[str]
    criteria: list[Criterion]
    study_answer: str
    study_values: dict[str, float]
    study_thresholds: dict[str, float]
    waived: list[str] = field(default_factory=list)
    limiting: str | None = None
    groups_needed: int | None = None

    @property
    def line(self) -> str:
        """Answer, with the waived criteria."""
        return f"{self.answer} ({', '.join(self.waived)} waived)" if self.waived else self.answer
