"""The result of a permutation test. This module does not import torch, because results are read without it."""

from __future__ import annotations

from dataclasses import dataclass

ALPHA = 0.05
"""Level of every permutation test."""


@dataclass(frozen=True)
class PermutationTest:
    """One measure of one pair of spaces against its permutation null.

    Attributes:
        measure: ``cka`` (debiased, linear), ``spearman`` (of distances) or ``recall`` (of nearest neighbours).
        value: the measure with the rows correctly paired.
        null_mean: mean over the permutations.
        null_sd: standard deviation over the permutations.
        p_value: (1 + #)/(K + 1), one-sided, of this measure alone.
        p_corrected: the same of the largest standardised value over all pairs and measures: the probability that, by
            chance, any of them is as extreme as this one.
        calibrated: (value - t) / (1 - t), at least 0, with t the value that 5 % of the nulls exceed: 0 for what chance
            explains, 1 for equal spaces, on the same scale for wide and narrow spaces.
        critical: the value above which ``p_corrected`` is at most `ALPHA`; None with too few permutations for that.
    """

    measure: str
    value: float
    null_mean: float
    null_sd: float
    p_value: float
    p_corrected: float
    calibrated: float
    critical: float | None = None
