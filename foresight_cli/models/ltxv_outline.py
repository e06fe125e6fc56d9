"""What ``config.json`` says of LTX-Video's autoencoder: its class, its channels, by how much it compresses."""

from __future__ import annotations

import shlex
from typing import Any

from foresight_cli.config_groups import as_override
from foresight_cli.errors import ForesightError
from foresight_cli.models.checkpoint import Checkpoint
from foresight_cli.models.single_file import convert_line

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
"""Of the class in diffusers: the published 0.9.0 and 0.9.1 leave some of these out."""

FRAMES, SIDES = ("conv", "temporal", "spatiotemporal"), ("conv", "spatial", "spatiotemporal")
"""Ways of halving a clip that halve its frames, and the sides of each of them."""


class LTXVOutline:
    """The autoencoder in ``checkpoint``, as its ``config.json`` describes it. Plain JSON: reading it takes no torch."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    def check_class(self) -> None:
        """Refuse another autoencoder than LTX-Video's in diffusers.

        Raises:
            ForesightError: which class the file names, and what takes it.
        """
        name = self.checkpoint.config.get("_class_name", CLASS)
        if name == CLASS:
            return
        checkpoint = self.checkpoint
        message = f"model=ltxv reads {CLASS}; config.json of the checkpoint {checkpoint.name} names {name}"
        if name == "CausalVideoAutoencoder":
            raise ForesightError(
                f"{message}, the layout of Lightricks' own code. Convert its single file to that of diffusers: "
                f"{convert_line(CLASS, 'FILE.safetensors')} and add model.checkpoint=converted"
            )
        typed = {"checkpoint": checkpoint.name, "revision": checkpoint.revision, "subfolder": checkpoint.subfolder}
        words = [as_override(f"model.{key}", value) for key, value in typed.items() if value]
        raise ForesightError(f"{message}. Take {shlex.join(['model=autoencoder', *words])}")

    @property
    def channels(self) -> int:
        """Of its latents."""
        return int(self._get("latent_channels"))

    @property
    def frame_factor(self) -> int:
        """Frames behind the first that one latent stands for."""
        return int(self._get("patch_size_t") * 2 ** self._halvings(FRAMES))

    @property
    def side_factor(self) -> int:
        """Pixels along each side that one latent stands for."""
        return int(self._get("patch_size") * 2 ** self._halvings(SIDES))

    def _halvings(self, ways: tuple[str, ...]) -> int:
        """Blocks of the encoder that halve the clip in one of ``ways``.

        Not ``spatial_compression_ratio``: that only tells diffusers' tiles how large they are.
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
