"""The interface of a model: pooled hidden states of a batch of pictures, from one forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import torch

    from foresight_cli.data.clip import Clip
    from foresight_cli.models.size import Size

    Vectors = torch.Tensor | Sequence[torch.Tensor]
    """One vector a sample: ``[n, d]``, or a list where their sizes differ."""


class Tap(NamedTuple):
    """A layer to read in a forward pass, and its pooling."""

    layer: str
    pooling: str


@dataclass(frozen=True)
class Prepared:
    """One sample as a network takes it.

    Attributes:
        sample_id: the sample it came from.
        tensors: the network's inputs for this one sample, on the CPU.
        shape: samples with equal shapes go through the network in one batch, with no padding.
        length: positions that the network computes; a model that pads batches samples of similar length.
    """

    sample_id: str
    tensors: dict[str, torch.Tensor]
    shape: tuple[int, ...]
    length: int = 1

    @property
    def bytes(self) -> int:
        """Bytes that it takes in memory."""
        return sum(tensor.nbytes for tensor in self.tensors.values())


class Encoder(Protocol):
    """The part of a loaded model that a forward pass needs."""

    pads: bool
    """True if samples of different shapes may share a batch."""

    def prepare(self, clip: Clip, sample_id: str) -> Prepared:
        """Return one sample as the network takes it. Called from several threads at once."""

    def features(self, batch: Sequence[Prepared], taps: Sequence[Tap]) -> dict[Tap, Vectors]:
        """Return the latents of each tap, ``[len(batch), d]`` or a list of vectors if their sizes differ, on the CPU.

        The batch's shapes are all equal, unless the model :attr:`pads`.
        """


class LatentModel(Encoder, Protocol):
    """A network, or a control without one. Making one reads no weights; :meth:`load` does."""

    def recipe(self, layer: str) -> dict[str, Any]:
        """Return all that determines the latents of ``layer`` but for the checkpoint's identity, as JSON values."""

    def identity(self, *, reach_hub: bool) -> dict[str, Any]:
        """Return the checkpoint's resolved revision or the hash of its files; {} for a hub id with ``reach_hub=False``.

        Raises:
            ForesightError: there is no such checkpoint, or the hub cannot be reached.
        """

    def check_layers(self, layers: Sequence[str]) -> None:
        """Refuse a layer that the checkpoint does not have, before its weights are read.

        Raises:
            UsageError: with the layer that was given, and those that the checkpoint has.
        """

    def check_files(self, *, clips: bool = False) -> None:
        """Refuse files beside the weights that :meth:`load` would refuse, before any weight is fetched or read.

        Args:
            clips: whether the samples are clips, and not still pictures.

        Raises:
            ForesightError: a tokenizer, template or image processor is missing or does not fit the network.
        """

    def size(self, frames: int) -> Size | None:
        """Return the size of the network and of a sample of ``frames`` frames; None without weights. Reads no tensor.

        Raises:
            ForesightError: the checkpoint's files cannot be read.
        """

    def check_weights(self) -> None:
        """Refuse a checkpoint of which any weight cannot be read, before the weights are read or fetched.

        Raises:
            ForesightError: with the file or weight that cannot be read, and what to do.
        """

    def all_layers(self) -> tuple[str, ...]:
        """Return the layers of ``layer=all``, in the network's order. Reads only config files."""

    def row_bytes(self, tap: Tap, frames: int) -> int | None:
        """Return the bytes of a sample's latents; None if they depend on its size. Reads only config files."""

    def load(self, device: str) -> None:
        """Read the weights and move them to ``device``."""
