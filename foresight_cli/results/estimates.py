"""Numbers with their uncertainty, as in ``results.yaml``."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval, and its value by chance.

    Attributes:
        lower: one-sided bound for passing a gate: the true value is above it with 95 % confidence.
        upper: one-sided bound for failing a gate: the true value is below it with 98.3 % confidence (5 % over the
            three gates that may lead to PIVOT).
    """

    value: float
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    p_value: float | None = None
    lower: float | None = None
    upper: float | None = None

    @classmethod
    def of(cls, value: float, standard_error: float, *, chance: float | None = None) -> Estimate:
        """Return an estimate with normal bounds."""
        half, one_sided, futile = (quantile * standard_error for quantile in (1.96, 1.645, 2.128))
        return cls(value, value - half, value + half, chance, None, value - one_sided, value + futile)

    def at_most(self, most: float) -> Estimate:
        """Return the estimate with its value and its bounds cut at ``most``, except ``upper``.

        How far ``upper`` is from the value tells the standard error, and so how many samples are needed.
        """
        capped = {
            name: min(value, most)
            for name in ("value", "low", "high", "lower")
            if (value := getattr(self, name)) is not None
        }
        return replace(self, **capped)


@dataclass(frozen=True)
class Neighborhood:
    """Overlap of the k nearest neighbours in both spaces, at one ``k``."""

    k: int
    recall: Estimate
    jaccard: float
    mrr: float
    expected: float

    @property
    def lift(self) -> float:
        """Recall divided by that of unrelated spaces."""
        return self.recall.value / self.expected
