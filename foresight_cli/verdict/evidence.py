"""The evidence for the criteria of the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from foresight_cli.results import ChosenPair, Control, Pair


@dataclass(frozen=True)
class Evidence:
    """The measures that the criteria use: two records of the results, and what only the verdict needs.

    Attributes:
        pair: the chosen pair, with bounds and permutation tests.
        chosen: its further measures, with the attributes and the share of each that the bridge keeps.
        groups: number of independent groups that were scored.
        controls: scores of trivial representations, and what the source adds to them.
        unmeasured: attributes that could not be measured, with the reason.
        hope: how much R2 may still rise with more rows; None if unknown.
        unseen_groups: independent groups below which there are too few neighbourhoods to hold some out.
        attribute_groups: independent groups behind the attributes, if these are from the companion data.
    """

    pair: Pair
    chosen: ChosenPair
    groups: int
    controls: Sequence[Control]
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    hope: float | None = None
    unseen_groups: int = 0
    attribute_groups: int | None = None

    @property
    def labelled(self) -> bool:
        """Check whether the data has categories that tell samples apart."""
        return bool(self.chosen.within_label)
