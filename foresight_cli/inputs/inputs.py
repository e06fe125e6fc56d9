"""Inputs of an analysis, in memory: latents from any origin are judged by the same code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from foresight_cli.inputs.representation import Representation
from foresight_cli.inputs.scored import Scored
from foresight_cli.inputs.split import Rows
from foresight_cli.latents import Latents


@dataclass(frozen=True)
class Companion:
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
    scored: Scored


@dataclass(frozen=True)
class Inputs:
    """Sources and targets on the same samples.

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
    def scored(self) -> Scored:
        """Ids, labels, groups and attributes of the scored rows."""
        scored = self.samples.take(self.rows.score)
        groups = [self.rows.groups[i] for i in self.rows.score]
        return Scored(scored.ids, scored.labels, groups, scored.attributes, self.rows.one_of_each)
