"""One file of latents: some rows of a dataset with their ids, as reproducible safetensors bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from foresight_cli.errors import ForesightError


@dataclass(frozen=True)
class Shard:
    """Some rows of a cache entry.

    Attributes:
        ids: sample ids, in the dataset's order.
        latents: ``[n, d]``, in the dtype they are stored in.
        pixels: ``[n, 32]`` uint8, SHA-256 of each sample's decoded pixels: equal pictures have equal rows.
        skipped: samples of this slice that could not be used, with the reason.
    """

    ids: Sequence[str]
    latents: torch.Tensor
    pixels: torch.Tensor
    skipped: Sequence[tuple[str, str]] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        n = len(self.ids)
        if self.latents.ndim != 2 or len(self.latents) != n or tuple(self.pixels.shape) != (n, 32):
            raise ForesightError(
                f"a shard of {n} ids with latents {list(self.latents.shape)} and hashes {list(self.pixels.shape)}; "
                f"wanted [{n}, d] and [{n}, 32]"
            )

    def to_bytes(self) -> bytes:
        """Return the bytes of the file. ``save`` is byte-stable for sorted names and one metadata key, not for two."""
        names = json.dumps({"ids": list(self.ids), "skipped": [list(s) for s in self.skipped]}, ensure_ascii=True)
        tensors = {
            "latents": self.latents.contiguous(),
            "pixels": self.pixels.contiguous(),
            "samples": torch.frombuffer(bytearray(names.encode()), dtype=torch.uint8),
        }
        return bytes(save(tensors, metadata={"foresight": "shard"}))

    @classmethod
    def from_bytes(cls, data: bytes) -> Shard:
        """Return the shard in ``data``, the inverse of :meth:`to_bytes`.

        Raises:
            ForesightError: the bytes are not a shard.
        """
        try:
            tensors = load(data)
            names = json.loads(bytes(tensors["samples"].numpy().tobytes()))
            skipped = tuple((str(a), str(b)) for a, b in names["skipped"])
            return cls(list(names["ids"]), tensors["latents"], tensors["pixels"], skipped)
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise ForesightError(f"not a shard of latents: {error}") from None


def refuse_other_width(first: tuple[str, int] | None, other: tuple[str, int]) -> None:
    """Refuse two samples with different numbers of values: the latents of one entry are one array.

    Raises:
        ForesightError: the sizes differ; the message names both samples.
    """
    if first is not None and first[1] != other[1]:
        first, other = sorted((first, other))  # the same text whichever of several workers is ahead
        raise ForesightError(
            f"pooling=flat needs the same size for all samples: {first[0]!r} has {first[1]} values and {other[0]!r} "
            f"has {other[1]}. Resize them all with model.resolution=252, or use pooling=channel_mean"
        )
