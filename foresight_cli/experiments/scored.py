"""The rows that are scored: what is known of each besides its latents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
        rows = self.one_of_each
        if rows is None:
            return self
        return Scored(
            ids=[self.ids[i] for i in rows],
            labels=[self.labels[i] for i in rows],
            groups=[self.groups[i] for i in rows],
            attributes={name: column[list(rows)] for name, column in self.attributes.items()},
        )

    @property
    def labelled(self) -> bool:
        """Whether any row has a category."""
        return any(label is not None for label in self.labels)

    @property
    def categories(self) -> list[str]:
        """The category of each row; those without one are a category of their own."""
        return ["" if label is None else f"={label}" for label in self.labels]
