"""Retention of an attribute of the samples, as in ``results.yaml``."""

from __future__ import annotations

from dataclasses import dataclass

from foresight_cli.results.estimates import Estimate


@dataclass(frozen=True)
class Attribute:
    """An attribute of the pictures (x, y, size ...) read by a linear probe.

    Attributes:
        from_source: held-out R2 from the source.
        from_target: held-out R2 from the true target.
        through_bridge: held-out R2 from the target predicted from the source, by the probe of the true target.
        retention: ``through_bridge`` over the larger of it and ``from_target``: a share, at most 1, with its interval;
            only its ``upper`` may be above 1. None where ``target_lower`` is below ``thresholds.ceiling``.
        target_lower: the lower 95 % bound of ``from_target``; None in files written before it was kept.
    """

    name: str
    from_source: float
    from_target: float
    through_bridge: float
    retention: Estimate | None
    target_lower: float | None = None

    def __post_init__(self) -> None:
        """Cap the share: the ratio to ``from_target`` alone, as older files have it, may be above 1."""
        if self.retention is not None:
            object.__setattr__(self, "retention", self.retention.at_most(1.0))

    @property
    def kept_fully(self) -> bool:
        """True if it is read through the bridge at least as well as from the target."""
        return self.retention is not None and self.retention.value >= 1.0
