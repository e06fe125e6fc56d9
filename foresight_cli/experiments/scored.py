"""The rows that are scored: what is known of each besides its latents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True)
class Scored:
    """Row by row, in the order of the representations.

    Attributes:
        ids: sample ids.
        labels: categories, None for none.
        groups: rows of one group never stand on both sides of a split.
        attributes: ``[n]`` by name; NaN where a sample has none.
        one_of_each: one row of every group, or None where every row is a group of its own.
    """

    ids: Sequence[str]
    labels: Sequence[str | None]
    groups: Sequence[str]
    attributes: dict[str, torch.Tensor]
    one_of_each: Sequence[int] | None = None

    @property
    def independent(self) -> Scored:
        """What is known of one row of every group: the rows of :attr:`Representation.independent`."""
        return self if self.one_of_each is None else replace(self.take(self.one_of_each), one_of_each=None)

    @property
    def labelled(self) -> list[int]:
        """The rows that have a category."""
        return [row for row, label in enumerate(self.labels) if label is not None]

    @property
    def categories(self) -> list[str]:
        """The category of each row; those without one are a category of their own."""
        return ["" if label is None else f"={label}" for label in self.labels]

    def take(self, rows: Sequence[int]) -> Scored:
        """What is known of some rows, in order; of a group that was drawn from, its drawn row may be missing."""
        place = {row: i for i, row in enumerate(rows)}
        drawn = None if self.one_of_each is None else [place[row] for row in self.one_of_each if row in place]
        return Scored(
            ids=[self.ids[row] for row in rows],
            labels=[self.labels[row] for row in rows],
            groups=[self.groups[row] for row in rows],
            attributes={name: column[list(rows)] for name, column in self.attributes.items()},
            one_of_each=drawn,
        )
