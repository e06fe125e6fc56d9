"""One measure of one pair of spaces against its permutation null. Free of torch: results hold it and read it back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PermutationTest:
    """One measure of one pair of spaces against its permutation null.

    Attributes:
        measure: ``cka`` (debiased, linear), ``spearman`` (of distances) or ``recall`` (of nearest neighbours).
        value: with the rows as they belong together.
        null_mean: mean over the permutations.
        null_sd: their standard deviation.
        p_value: (1 + #)/(K + 1), one-sided, of this measure by itself.
        p_corrected: the same of the largest standardised value over all pairs and measures: the chance that any of them
            would look as good as this one does.
        calibrated: (value - t) / (1 - t), at least 0, with t the value that 5 % of the nulls exceed: 0 for what chance
            explains, 1 for equal spaces, and the same scale for wide and narrow spaces.
        critical: the value beyond which ``p_corrected`` is at most 0.05; None with too few permutations for that.
    """

    measure: str
    value: float
    null_mean: float
    null_sd: float
    p_value: float
    p_corrected: float
    calibrated: float
    critical: float | None = None
