"""The evidence for the criteria of the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from foresight_cli.results import CURVE_SIZES, Attribute, Control, Estimate, Pair, PermutationTest


@dataclass(frozen=True)
class Evidence:
    """The measures that the criteria use.

    Attributes:
        pair: the chosen pair, with bounds and permutation tests.
        groups: number of independent groups that were scored.
        within_label: its permutation tests within categories.
        labelled: whether the data has categories.
        controls: scores of trivial representations, and what the source adds to them.
        attributes: with the share of each that the bridge keeps.
        unmeasured: attributes that could not be measured, with the reason.
        companion: name of the data with the attributes, if not the scored data.
        hope: how much R2 may still rise with more rows; None if unknown.
        learning_sizes: number of sizes in the learning curve; with fewer than three there is no ``hope``.
        attribute_groups: independent groups behind the attributes, if these are from the companion data.
        typical: median over samples of the held-out R2 of each sample.
        unseen: held-out R2 with whole neighbourhoods held out; None with too few of them.
        unseen_groups: independent groups below which there are too few neighbourhoods.
        within_clusters: permutation tests within clusters of the target.
        shifted_cka: debiased CKA with each target row assigned to another sample.
        power: probability that the permutation tests detect a target that shares the required amount.
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
    unseen_groups: int = 0
    within_clusters: Sequence[PermutationTest] = ()
    attribute_groups: int | None = None
    shifted_cka: float = 0.0
    power: float = 0.0
