"""Spaces joined by sample, in memory: latents from any origin are judged by the same code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from foresight_cli.inputs.representation import Representation
from foresight_cli.inputs.split import Rows
from foresight_cli.latents import Latents


@dataclass(frozen=True)
class SampleTable:
    """Ids, labels, groups and attributes of some rows, in the order of the representations of the same rows.

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

    @classmethod
    def of_scored(cls, samples: Latents, rows: Rows) -> SampleTable:
        """Return the table of the scored rows among all ``samples``."""
        some = samples.take(rows.score)
        groups = [rows.groups[i] for i in rows.score]
        return cls(some.ids, some.labels, groups, some.attributes, rows.one_of_each)

    @property
    def independent(self) -> SampleTable:
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

    def take(self, rows: Sequence[int]) -> SampleTable:
        """Return the values of some rows, in order; the row that was drawn of a group may be missing from them."""
        position = {row: i for i, row in enumerate(rows)}
        drawn = None if self.one_of_each is None else [position[row] for row in self.one_of_each if row in position]
        return SampleTable(
            ids=[self.ids[row] for row in rows],
            labels=[self.labels[row] for row in rows],
            groups=[self.groups[row] for row in rows],
            attributes={name: column[list(rows)] for name, column in self.attributes.items()},
            one_of_each=drawn,
        )


@dataclass(frozen=True)
class JoinedSpaces:
    """Sources, targets and controls on the same samples, and the choice of rows.

    Attributes:
        sources: on every row.
        targets: on every row.
        controls: ``[n, d]`` by name, on every row.
        samples: ids, labels, groups and attributes of every row.
        rows: which rows are scored.
    """

    sources: Sequence[Representation]
    targets: Sequence[Representation]
    controls: Mapping[str, torch.Tensor]
    samples: Latents
    rows: Rows

    @property
    def scored(self) -> SampleTable:
        """Ids, labels, groups and attributes of the scored rows."""
        return SampleTable.of_scored(self.samples, self.rows)


@dataclass(frozen=True)
class CompanionSet:
    """Latents of the same two models, layers and poolings on data that has attributes.

    Attributes:
        name: of the data.
        source: the source on it.
        target: the target on it; the same rows.
        scored: labels, groups and attributes of the rows.
    """

    name: str
    source: Representation
    target: Representation
    scored: SampleTable
