"""The rows that are scored: ids, labels, groups and attributes, without latents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True)
class Scored:
    """Values for each row, in the order of the representations.

    Attributes:
        ids: sample ids.
        labels: categories, None for none.
        groups: rows of one group are never on both sides of a split.
        attributes: ``[n]`` by name; NaN where a sample has none.
        one_of_each: one row of every group; None if no two rows share a group.
    """

    ids: Sequence[str]
    labels: Sequence[str | None]
    groups: Sequence[str]
    attributes: dict[str, torch.Tensor]
    one_of_each: Sequence[int] | None = None

    @property
    def independent(self) -> Scored:
        """The values of one row of every group: the rows of :attr:`Representation.independent`."""
        return self if self.one_of_each is None else replace(self.take(self.one_of_each), one_of_each=None)

    @property
    def labelled(self) -> list[int]:
        """The rows that have a category."""
        return [row for row, label in enumerate(self.labels) if label is not None]

    @property
    def categories(self) -> list[str]:
        """The category of each row; rows without one share a separate category."""
        return ["" if label is None else f"={label}" for label in self.labels]

    def take(self, rows: Sequence[int]) -> Scored:
        """Return the values of some rows, in order; the row that was drawn of a group may be missing from them."""
        position = {row: i for i, row in enumerate(rows)}
        drawn = None if self.one_of_each is None else [position[row] for row in self.one_of_each if row in position]
        return Scored(
            ids=[self.ids[row] for row in rows],
            labels=[self.labels[row] for row in rows],
            groups=[self.groups[row] for row in rows],
            attributes={name: column[list(rows)] for name, column in self.attributes.items()},
            one_of_each=drawn,
        )
