"""One space in memory; values that several experiments share are computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from foresight_cli.latents import Entry, Latents
from foresight_cli.latents.recipe import display_name
from foresight_cli.metrics.distances import RowDistances
from foresight_cli.metrics.rsa import standard_scores
from foresight_cli.metrics.space import Space


@dataclass
class Representation:
    """The latents of one model, layer and pooling, on the rows that are scored.

    Attributes:
        side: ``source``, ``target`` or ``control``.
        model: name of the model.
        layer: ``"8"`` or ``"final"``.
        pooling: ``channel_mean`` or ``flat``.
        key: of the cache entry.
        values: ``[n, d]`` float64.
        one_of_each: one row of every group; None if no two rows share a group.
        label: display name of the model; "" for its name.
        device: where :attr:`space` is measured; everything else is on the CPU.
    """

    side: str
    model: str
    layer: str
    pooling: str
    key: str
    values: torch.Tensor
    one_of_each: Sequence[int] | None = None
    device: str = "cpu"
    label: str = ""

    @classmethod
    def of(cls, side: str, label: str, entry: Entry, latents: Latents, device: str) -> Representation:
        """Return the ``latents`` of a cache entry as the representation of model ``label``, measured on ``device``."""
        recipe = entry.recipe
        model, values = str(recipe.model["name"]), latents.values.double()
        return cls(side, model, recipe.layer, recipe.pooling, entry.path.name, values, device=device, label=label)

    @property
    def name(self) -> str:
        """Display name in messages."""
        return display_name(self.label or self.model, self.layer, self.pooling)

    def rows(self, index: Sequence[int], one_of_each: Sequence[int] | None = None) -> Representation:
        """Return the same space on some of its rows; ``one_of_each`` are indices into them.

        With all rows, it returns the space itself, and keeps what was computed.
        """
        if one_of_each == self.one_of_each and list(index) == list(range(len(self.values))):
            return self
        values = self.values[torch.as_tensor(list(index))]
        return replace(self, values=values, one_of_each=one_of_each)

    @property
    def independent(self) -> Representation:
        """The space on one row of every group.

        Frames of a clip are close to each other in any space. Measures that look at pairs of rows (CKA, distances,
        neighbours) would take that for agreement between two spaces, and their intervals would count each frame.
        """
        return self if self.one_of_each is None else self._drawn_of_each

    @cached_property
    def _drawn_of_each(self) -> Representation:
        assert self.one_of_each is not None
        return self.rows(self.one_of_each)

    @cached_property
    def zero_rows(self) -> torch.Tensor:
        """Mask ``[n]`` of the rows that are all zeros: they have no direction, and so no cosine."""
        return ~self.values.any(dim=1)

    @cached_property
    def space(self) -> Space:
        """The rows with their Gram matrix, distances and principal axes, each computed once for all measures."""
        return Space(self.values.to(self.device), name=self.name)

    @cached_property
    def rotated(self) -> torch.Tensor:
        """The centred rows in their principal axes ``[n, min(n, d)]``: all distances and inner products are kept."""
        return self.space.coordinates.cpu()

    @cached_property
    def distances(self) -> torch.Tensor:
        """Euclidean distances of all pairs ``[n (n - 1) / 2]``, in the order of ``torch.triu_indices``."""
        return self.space.distances().condensed().cpu()

    @cached_property
    def ranks(self) -> torch.Tensor:
        """Standard scores of the ranks of the distances: the dot product for two spaces is Spearman's rho."""
        return standard_scores(self.distances, "spearman")

    @cached_property
    def cosine_ranks(self) -> torch.Tensor:
        """Standard scores of the ranks of cosine distances between the raw rows."""
        # Not by `space.distances`, which would keep the rows that it scales to length one.
        return standard_scores(RowDistances(self.space.values, "cosine", self.name).condensed().cpu(), "spearman")
