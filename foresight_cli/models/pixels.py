"""``model=pixels``: a control with no network, the picture's thumbnail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from foresight_cli.config import PixelsConfig
from foresight_cli.data.clip import Clip
from foresight_cli.models.model import Prepared, Tap
from foresight_cli.models.pooling import pool
from foresight_cli.models.without_checkpoint import WithoutCheckpoint

if TYPE_CHECKING:
    from foresight_cli.models.model import Vectors


class Pixels(WithoutCheckpoint):
    """An area-averaged thumbnail in [0, 1] as a grid ``[3, T, r, r]``: ``channel_mean`` is the mean colour."""

    def __init__(self, config: PixelsConfig) -> None:
        self.config = config

    def recipe(self, layer: str) -> dict[str, Any]:
        """See :class:`LatentModel`."""
        return {"name": "pixels", "resolution": self.config.resolution, "resize": "pil-box"}

    def row_bytes(self, tap: Tap, frames: int) -> int | None:
        """See :class:`LatentModel`."""
        return 4 * 3 * (1 if tap.pooling == "channel_mean" else frames * self.config.resolution**2)

    def prepare(self, clip: Clip, sample_id: str) -> Prepared:
        """Return the thumbnail of each frame, by the mean of each cell (PIL's box filter)."""
        import torch

        side = self.config.resolution
        small = np.stack([np.asarray(frame.resize((side, side), Image.Resampling.BOX)) for frame in clip.frames])
        grid = torch.from_numpy(small.astype(np.float32) / 255).permute(3, 0, 1, 2)
        return Prepared(sample_id, {"grid": grid}, (len(clip.frames),))

    def features(self, batch: Sequence[Prepared], taps: Sequence[Tap]) -> dict[Tap, Vectors]:
        """See :class:`LatentModel`."""
        import torch

        grid = torch.stack([p.tensors["grid"] for p in batch])
        return {tap: pool(grid, tap.pooling) for tap in taps}
