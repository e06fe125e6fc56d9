"""What every model gives: pooled hidden states of a batch of pictures, from one forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import torch
    from PIL import Image


class Tap(NamedTuple):
    """Which latents are wanted of a forward pass."""

    layer: str
    pooling: str


@dataclass(frozen=True)
class Prepared:
    """One picture as a network takes it.

    Attributes:
        sample_id: the sample it came from.
        tensors: the network's inputs for this one picture, on the CPU.
        shape: pictures with equal shapes go through the network in one batch, with no padding.
    """

    sample_id: str
    tensors: dict[str, torch.Tensor]
    shape: tuple[int, ...]


class LatentModel(Protocol):
    """A network, or a control without one. Making one reads no weights; :meth:`load` does."""

    def recipe(self, layer: str) -> dict[str, Any]:
        """All that fixes the latents of ``layer``, but for the checkpoint's own identity, as JSON values."""

    def identity(self, *, reach_hub: bool) -> dict[str, Any]:
        """The checkpoint's resolved revision or the hash of its files; with ``reach_hub=False``, {} for a hub id.

        Raises:
            ForesightError: there is no such checkpoint, or the hub cannot be reached.
        """

    def check_layers(self, layers: Sequence[str]) -> None:
        """Refuse a layer that the checkpoint does not have, before its weights are read.

        Raises:
            UsageError: which layer was asked for, and which there are.
        """

    def load(self, device: str) -> None:
        """Read the weights and move them to ``device``."""

    def prepare(self, image: Image.Image, sample_id: str) -> Prepared:
        """One upright RGB picture as the network takes it."""

    def features(self, batch: Sequence[Prepared], taps: Sequence[Tap]) -> dict[Tap, torch.Tensor]:
        """The latents ``[len(batch), d]`` of each tap, on the CPU. The batch's shapes are all equal."""
