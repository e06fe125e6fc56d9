"""Numbers on their way into a text, each kept with what it became: what a test traces back to ``results.yaml``."""

from __future__ import annotations

from collections.abc import Callable

from foresight_cli.reporting import numbers
from foresight_cli.reporting.markdown import Markdown
from foresight_cli.reporting.wording import decided_by, limiting
from foresight_cli.results import Criterion, Estimate, Verdict

Format = Callable[..., str]
Safe = Callable[[str], str]


class Numbers:
    """The only way of a number into ``FINDINGS.md`` and ``report.html``. It keeps each value, for a test to trace.

    Attributes:
        safe: makes text safe in what is written, Markdown or HTML.
        written: every value with the text it became.
    """

    def __init__(self, safe: Safe = Markdown) -> None:
        self.safe = safe
        self.written: list[tuple[float, str]] = []

    def filters(self) -> dict[str, Callable[..., str]]:
        """The template's filters by name."""
        return {
            "number": self._one(numbers.fixed),
            "percent": self._one(numbers.percent),
            "p_value": self._one(numbers.p_value),
            "interval": self._estimate(numbers.with_interval),
            "percent_interval": self._estimate(numbers.percent_with_interval),
            "criterion": self.criterion,
        }

    def criterion(self, found: Criterion, part: str) -> str:
        """The ``estimate``, ``bound`` or ``threshold`` of a criterion, counts as counts and p values as such.

        A bound is written where it is not the estimate itself, as what the true value is above, or for FAIL below.
        """
        estimate, least = found.estimate, found.threshold
        if part == "bound":
            if found.kind != "bound" or found.bound is None:
                return self.safe("")
            sign = "≤" if found.outcome == "FAIL" else "≥"
            return self.safe(f"{sign} {self._keep(found.bound, numbers.fixed(found.bound))}")
        if part == "threshold":
            if least is None:
                return self.safe("")
            value = int(least) if found.kind == "count" else least
            sign = {"p value": "≤", "count": "≥", "ceiling": "≤"}.get(found.kind, ">")
            return self.safe(f"{sign} {self._keep(least, numbers.fixed(value, 2))}")
        if estimate is not None and found.kind == "count":
            return self.safe(self._keep(estimate.value, numbers.fixed(round(estimate.value))))
        if estimate is not None and found.kind == "p value":
            return self.safe(self._keep(estimate.value, f"p = {numbers.p_value(estimate.value)}"))
        return self._estimate(numbers.with_interval)(estimate)

    def limiting(self, verdict: Verdict) -> str | None:
        """What holds up an answer, and how many groups would decide it; None where there is an answer."""
        return limiting(verdict, lambda count: self._keep(count, numbers.fixed(count)), self.rough)

    def decided_by(self, groups: int) -> str:
        """How many groups would decide a criterion."""
        return decided_by(groups, self.rough)

    def rough(self, count: int) -> str:
        """A count that was estimated."""
        return self._keep(count, numbers.rough(count))

    def _keep(self, value: float, text: str) -> str:
        self.written.append((value, text))
        return text

    def _one(self, written: Format) -> Callable[..., str]:
        def say(value: float | None, *digits: int) -> str:
            text = written(value, *digits)
            return self.safe(text if value is None else self._keep(value, text))

        return say

    def _estimate(self, written: Format) -> Callable[..., str]:
        def say(estimate: Estimate | None, *digits: int) -> str:
            text = written(estimate, *digits)
            shown = [estimate.value, estimate.low, estimate.high] if estimate else []
            for value in shown:
                if value is not None:
                    self._keep(value, text)
            return self.safe(text)

        return say
