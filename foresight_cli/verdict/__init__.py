"""The criteria of the verdict: each compares one piece of evidence with a threshold, by its bound and not its value."""

from foresight_cli.verdict.bound import FAIL, NOT_MEASURED, PASS, SEVERITY, UNCLEAR, WAIVED, above
from foresight_cli.verdict.criteria import (
    ALPHA,
    DEPENDENCE,
    ENOUGH_POWER,
    POSITION,
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

__all__ = [
    "ALPHA",
    "DEPENDENCE",
    "ENOUGH_POWER",
    "FAIL",
    "NOT_MEASURED",
    "PASS",
    "POSITION",
    "SEVERITY",
    "UNCLEAR",
    "WAIVED",
    "Evidence",
    "above",
    "attributes_survive",
    "beyond_categories",
    "beyond_controls",
    "dependence",
    "pairing",
    "predicts",
    "sample_size",
    "typical_samples",
    "unseen_neighborhoods",
]
