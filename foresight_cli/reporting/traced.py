"""Filters that format numbers and record each, so that a test can trace every number to ``results.yaml``."""

from __future__ import annotations

from collections.abc import Callable

from foresight_cli.reporting.markdown import Markdown
from foresight_cli.reporting.wording import decided_by, limiting
from foresight_cli.results import Criterion, Estimate, Verdict, numbers

Format = Callable[..., str]
Safe = Callable[[str], str]


class Numbers:
    """The filters through which every number enters ``FINDINGS.md`` and ``report.html``; each value is recorded.

    Attributes:
        safe: escapes text for Markdown or HTML.
        written: every value with its text.
    """

    def __init__(self, safe: Safe = Markdown) -> None:
        self.safe = safe
        self.written: list[tuple[float, str]] = []

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filters of the templates, by name."""
        return {
            "number": self._number(numbers.fixed),
            "percent": self._number(numbers.percent),
            "p_value": self._number(numbers.p_value),
            "interval": self._estimate(numbers.with_interval),
            "percent_interval": self._estimate(numbers.percent_with_interval),
            "criterion": self.criterion,
        }

    def criterion(self, criterion: Criterion, part: str) -> str:
        """Return the ``estimate``, ``bound`` or ``threshold`` of a criterion, formatted by its kind.

        A bound is written only if it differs from the estimate: the true value is above it, or for FAIL below it.
        """
        estimate, least = criterion.estimate, criterion.threshold
        if part == "bound":
            if criterion.kind != "bound" or criterion.bound is None:
                return self.safe("")
            sign = "≤" if criterion.outcome == "FAIL" else "≥"
            return self.safe(f"{sign} {self._keep(criterion.bound, numbers.fixed(criterion.bound))}")
        if part == "threshold":
            if least is None:
                return self.safe("")
            value = int(least) if criterion.kind == "count" else least
            sign = {"p value": "≤", "count": "≥", "ceiling": "≤"}.get(criterion.kind, ">")
            return self.safe(f"{sign} {self._keep(least, numbers.fixed(value, 2))}")
        if estimate is not None and criterion.kind == "count":
            return self.safe(self._keep(estimate.value, numbers.fixed(round(estimate.value))))
        if estimate is not None and criterion.kind == "p value":
            return self.safe(self._keep(estimate.value, f"p = {numbers.p_value(estimate.value)}"))
        return self._estimate(numbers.with_interval)(estimate)

    def limiting(self, verdict: Verdict, companion: str | None) -> str | None:
        """Return the criterion that holds up an answer and the groups that would decide it; None if answered."""
        return limiting(verdict, companion, lambda count: self._keep(count, numbers.fixed(count)), self.rough)

    def decided_by(self, criterion: Criterion, companion: str | None) -> str:
        """Return a sentence with the number of groups that would decide a criterion; ``""`` if there is none."""
        return decided_by(criterion, companion, self.rough)

    def rough(self, count: int) -> str:
        """Format an estimated count."""
        return self._keep(count, numbers.rough(count))

    def _keep(self, value: float, text: str) -> str:
        self.written.append((value, text))
        return text

    def _number(self, written: Format) -> Callable[..., str]:
        def formatted(value: float | None, *digits: int) -> str:
            text = written(value, *digits)
            return self.safe(text if value is None else self._keep(value, text))

        return formatted

    def _estimate(self, written: Format) -> Callable[..., str]:
        def formatted(estimate: Estimate | None, *digits: int) -> str:
            text = written(estimate, *digits)
            shown = [estimate.value, estimate.low, estimate.high] if estimate else []
            for value in shown:
                if value is not None:
                    self._keep(value, text)
            return self.safe(text)

        return formatted
