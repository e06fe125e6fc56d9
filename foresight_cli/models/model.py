"""What every model gives: pooled hidden states of a batch of pictures, from one forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import torch

    from foresight_cli.clip import Clip
    from foresight_cli.models.size import Size

    Vectors = torch.Tensor | Sequence[torch.Tensor]
    """One vector a sample: ``[n, d]``, or a list where their sizes differ."""


class Tap(NamedTuple):
    """Which latents are wanted of a forward pass."""

    layer: str
    pooling: str


@dataclass(frozen=True)
class Prepared:
    """One sample as a network takes it.

    Attributes:
        sample_id: the sample it came from.
        tensors: the network's inputs for this one sample, on the CPU.
        shape: samples with equal shapes go through the network in one batch, with no padding.
        length: positions that the network computes; a model that pads puts samples of like length together.
    """

    sample_id: str
    tensors: dict[str, torch.Tensor]
    shape: tuple[int, ...]
    length: int = 1

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        return sum(tensor.nbytes for tensor in self.tensors.values())


class Encoder(Protocol):
    """What a forward pass asks of a model that is loaded."""

    pads: bool
    """Whether samples of different shapes may share a batch."""

    def prepare(self, clip: Clip, sample_id: str) -> Prepared:
        """One sample as the network takes it. Called from several threads at once."""

    def features(self, batch: Sequence[Prepared], taps: Sequence[Tap]) -> dict[Tap, Vectors]:
        """The latents of each tap, ``[len(batch), d]`` or a vector each where sizes differ, on the CPU.

        The batch's shapes are all equal, unless the model :attr:`pads`.
        """


class LatentModel(Encoder, Protocol):
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

    def check_files(self, *, clips: bool = False) -> None:
        """Refuse files beside the weights that :meth:`load` would refuse, before any weight is fetched or read.

        Args:
            clips: whether the samples are clips, and not still pictures.

        Raises:
            ForesightError: a tokenizer, template or image processor is missing or does not fit the network.
        """

    def size(self, frames: int) -> Size | None:
        """Numbers that the network and a sample of so many frames take; None without weights. Reads no tensor.

        Raises:
            ForesightError: the checkpoint's files cannot be read.
        """

    def check_weights(self) -> None:
        """Refuse a checkpoint whose weights cannot be read, or not all of them, before they are read or fetched.

        Raises:
            ForesightError: which file or weight is the matter, and what to do.
        """

    def all_layers(self) -> tuple[str, ...]:
        """What ``layer=all`` means, in the network's order; reads config files alone."""

    def row_bytes(self, tap: Tap, frames: int) -> int | None:
        """Bytes of the latents of a sample of so many frames; None where its size decides. Reads config files alone."""

    def load(self, device: str) -> None:
        """Read the weights and move them to ``device``."""
