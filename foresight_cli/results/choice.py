"""Which pairs of spaces the verdict's pair is chosen among."""

from __future__ import annotations

from collections.abc import Sequence


def candidates(target_poolings: Sequence[str]) -> list[int]:
    """Indices of the pairs that the verdict's is chosen among, by the pooling of each pair's target.

    R2 does not compare targets: one may be easier to predict than another, and averages mostly are. The bridge is meant
    for a decoder, which needs every value, and only there can be seen whether position survives: where some targets are
    flat, the others are no candidates.
    """
    flat = [i for i, pooling in enumerate(target_poolings) if pooling == "flat"]
    return flat or list(range(len(target_poolings)))
