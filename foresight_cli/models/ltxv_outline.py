"""LTX-Video's autoencoder as its ``config.json`` describes it: class, channels, compression factors."""

from __future__ import annotations

import shlex
from functools import cached_property
from typing import Any, NamedTuple

from foresight_cli.config.tree import as_override
from foresight_cli.errors import ForesightError
from foresight_cli.models.checkpoint import Checkpoint
from foresight_cli.models.single_file import foreign_class

CLASS = "AutoencoderKLLTXVideo"
DEFAULTS: dict[str, Any] = {
    "latent_channels": 128,
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["LTXVideoDownBlock3D"] * 4,
    "spatio_temporal_scaling": [True, True, True, False],
    "downsample_type": ["conv"] * 4,
    "patch_size": 4,
    "patch_size_t": 1,
}
"""Defaults of the class in diffusers: the published 0.9.0 and 0.9.1 leave some of these out."""

FRAMES, SIDES = ("conv", "temporal", "spatiotemporal"), ("conv", "spatial", "spatiotemporal")
"""Kinds of downsampling that halve the number of frames, and those that halve the sides of each frame."""


class Sizes(NamedTuple):
    """The compression of an autoencoder.

    Attributes:
        channels: of its latents.
        frame_factor: frames after the first that one latent covers.
        side_factor: pixels along each side that one latent covers.
    """

    channels: int
    frame_factor: int
    side_factor: int


class LTXVOutline:
    """The autoencoder in ``checkpoint``, as its ``config.json`` describes it. Plain JSON: reading it takes no torch."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    def check_class(self) -> None:
        """Refuse an autoencoder other than LTX-Video's in diffusers.

        Raises:
            ForesightError: with the class that the file names, and the setting that reads it.
        """
        name = str(self.checkpoint.config.get("_class_name", CLASS))
        if name == CLASS:
            return
        checkpoint = self.checkpoint
        message = f"model=ltxv reads {CLASS}; config.json of the checkpoint {checkpoint.name} names"
        if foreign := foreign_class(name):
            raise ForesightError(f"{message} {foreign}")
        if "Autoencoder" not in name:
            raise ForesightError(f"{message} {name}, which is no autoencoder. Name its folder with model.subfolder=")
        typed = {"checkpoint": checkpoint.name, "revision": checkpoint.revision, "subfolder": checkpoint.subfolder}
        words = [as_override(f"model.{key}", value) for key, value in typed.items() if value]
        raise ForesightError(f"{message} {name}. Take {shlex.join(['model=autoencoder', *words])}")

    @cached_property
    def sizes(self) -> Sizes:
        """Channels of its latents, and the factors of compression.

        Raises:
            ForesightError: the file gives something other than numbers and lists.
        """
        with self.checkpoint.reading():
            return Sizes(
                channels=int(self._get("latent_channels")),
                frame_factor=max(1, int(self._get("patch_size_t") * 2 ** self._halvings(FRAMES))),
                side_factor=max(1, int(self._get("patch_size") * 2 ** self._halvings(SIDES))),
            )

    def _halvings(self, ways: tuple[str, ...]) -> int:
        """Count the blocks of the encoder that downsample the clip in one of ``ways``.

        ``spatial_compression_ratio`` is not used: it only sets the size of diffusers' tiles.
        """
        kinds = self._get("down_block_types")
        recent = kinds[-1] == "LTXVideo095DownBlock3D"
        blocks = len(self._get("block_out_channels")) - recent  # since 0.9.5 the first width is that of the input
        halves = zip(kinds, self._get("spatio_temporal_scaling"), self._get("downsample_type"), strict=False)
        return sum(
            bool(scales) and (way if kind == "LTXVideo095DownBlock3D" else "conv") in ways
            for kind, scales, way in list(halves)[:blocks]
        )

    def _get(self, key: str) -> Any:
        return self.checkpoint.config.get(key, DEFAULTS[key])
