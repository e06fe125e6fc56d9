"""``model=pixels``: a control with no network, the picture's thumbnail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from foresight_cli.config import PixelsConfig
from foresight_cli.models.model import Prepared, Tap
from foresight_cli.pooling import pool

if TYPE_CHECKING:
    import torch


class Pixels:
    """An area-averaged thumbnail in [0, 1] as a grid ``[3, 1, r, r]``: ``channel_mean`` is the mean colour."""

    def __init__(self, config: PixelsConfig) -> None:
        self.config = config

    def recipe(self, layer: str) -> dict[str, Any]:
        """See :class:`LatentModel`."""
        return {"name": "pixels", "resolution": self.config.resolution, "resize": "pil-box"}

    def identity(self, *, reach_hub: bool) -> dict[str, Any]:
        """There is no checkpoint."""
        return {}

    def check_layers(self, layers: Sequence[str]) -> None:
        """There is only ``final``, which the config has checked."""

    def load(self, device: str) -> None:
        """There are no weights."""

    def prepare(self, image: Image.Image, sample_id: str) -> Prepared:
        """The thumbnail, by the mean of each cell (PIL's box filter)."""
        import torch

        side = self.config.resolution
        small = np.asarray(image.resize((side, side), Image.Resampling.BOX), dtype=np.float32) / 255
        return Prepared(sample_id, {"grid": torch.from_numpy(small).permute(2, 0, 1)[:, None]}, ())

    def features(self, batch: Sequence[Prepared], taps: Sequence[Tap]) -> dict[Tap, torch.Tensor]:
        """See :class:`LatentModel`."""
        import torch

        grid = torch.stack([p.tensors["grid"] for p in batch])
        return {tap: pool(grid, tap.pooling) for tap in taps}
