"""The pairs of spaces among which the verdict's pair is chosen."""

from __future__ import annotations

from collections.abc import Sequence


def candidates(target_poolings: Sequence[str]) -> list[int]:
    """Return the indices of the pairs among which the verdict's pair is chosen, by the pooling of each pair's target.

    R2 does not compare targets: one may be easier to predict than another, and averages mostly are. The bridge is meant
    for a decoder, which needs every value, and only flat targets show whether position survives. So if some targets are
    flat, the others are not candidates.
    """
    flat = [i for i, pooling in enumerate(target_poolings) if pooling == "flat"]
    return flat or list(range(len(target_poolings)))
