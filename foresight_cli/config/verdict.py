"""Schemas of the verdict: its thresholds, and the evidence that the user waives."""

from __future__ import annotations

from dataclasses import dataclass

from foresight_cli.config.checks import at_least, between, one_of
from foresight_cli.config.tree import conf_dir
from foresight_cli.errors import UsageError

LEAST_GROUPS = 20
"""Least number of independent samples for an analysis or for the split of an adapter."""


@dataclass(frozen=True)
class Thresholds:
    """``thresholds.*`` of ``foresight analyze``: policy, printed with the verdict."""

    r2: float
    delta: float
    retention: float
    ceiling: float
    min_groups: int

    def __post_init__(self) -> None:
        for key in ("r2", "delta", "ceiling"):
            between(f"thresholds.{key}", getattr(self, key), 0, 1)
        if not 0 <= self.retention < 1:
            raise UsageError(f"thresholds.retention={self.retention}: it must be from 0 to below 1, for instance 0.95")
        at_least("thresholds.min_groups", self.min_groups, LEAST_GROUPS)


def default_thresholds() -> Thresholds:
    """Return the thresholds of ``conf/analyze.yaml``, for a stage that has no such settings."""
    from omegaconf import OmegaConf

    return Thresholds(**OmegaConf.load(conf_dir() / "analyze.yaml").thresholds)


@dataclass(frozen=True)
class Waivers:
    """``verdict.*`` of ``foresight analyze``: evidence that is required, or that the user explicitly waives."""

    attributes: str
    controls: str
    categories: str

    def __post_init__(self) -> None:
        for key in ("attributes", "controls", "categories"):
            one_of(f"verdict.{key}", getattr(self, key), ("required", "waived"))

    @property
    def waived(self) -> list[str]:
        """Names of the waived evidence."""
        return [key for key in ("attributes", "controls", "categories") if getattr(self, key) == "waived"]
