"""What the criteria of the verdict look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from foresight_cli.results import CURVE_SIZES, Attribute, Control, Estimate, Pair, PermutationTest


@dataclass(frozen=True)
class Evidence:
    """What the criteria look at.

    Attributes:
        pair: the chosen pair, with bounds and permutation tests.
        groups: independent groups that were scored.
        within_label: its permutation tests within categories.
        labelled: whether the data has categories; else they are clusters of the target.
        controls: what trivial representations score, and what the source adds to them.
        attributes: what survives the bridge.
        unmeasured: attributes that could not be measured, with the reason.
        companion: the data that the attributes are of, if not the scored data.
        hope: how much R2 may still rise with more rows; None if unknown.
        learning_sizes: sizes that the learning curve was measured at; of fewer than three there is no ``hope``.
        attribute_groups: independent groups behind the attributes, if they are the companion data's.
        typical: the median over samples of each one's own held-out R2.
        unseen: held-out R2 with whole neighbourhoods held out; None with too few of them.
        within_clusters: permutation tests within clusters of the target.
        shifted_cka: debiased CKA with each target row given to another sample.
        power: chance that the permutation tests find a target that shares as much as is wanted.
    """

    pair: Pair
    groups: int
    within_label: Sequence[PermutationTest]
    labelled: bool
    controls: Sequence[Control]
    attributes: Sequence[Attribute]
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    companion: str | None = None
    hope: float | None = None
    learning_sizes: int = CURVE_SIZES
    typical: Estimate = field(default_factory=lambda: Estimate(0.0))
    unseen: Estimate | None = None
    within_clusters: Sequence[PermutationTest] = ()
    attribute_groups: int | None = None
    shifted_cka: float = 0.0
    power: float = 0.0
