"""``model=histogram``: a control with no network, the picture's colour histogram. It holds no positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from foresight_cli.config import HistogramConfig
from foresight_cli.data.clip import Clip
from foresight_cli.models.model import Prepared, Tap
from foresight_cli.models.pooling import pool
from foresight_cli.models.without_checkpoint import WithoutCheckpoint

if TYPE_CHECKING:
    from foresight_cli.models.model import Vectors


class Histogram(WithoutCheckpoint):
    """Joint histogram of red, green and blue, as shares that add up to 1: one token of ``bins ** 3`` values."""

    def __init__(self, config: HistogramConfig) -> None:
        self.config = config

    def recipe(self, layer: str) -> dict[str, Any]:
        """See :class:`LatentModel`."""
        return {"name": "histogram", "bins": self.config.bins}

    def row_bytes(self, tap: Tap, frames: int) -> int | None:
        """See :class:`LatentModel`."""
        return 4 * self.config.bins**3

    def prepare(self, clip: Clip, sample_id: str) -> Prepared:
        """Count the pixels of each colour cell, over all frames."""
        import torch

        bins = self.config.bins
        count = np.zeros(bins**3, dtype=np.int64)
        for frame in clip.frames:
            cell = np.asarray(frame, dtype=np.int64) * bins // 256
            index = (cell[..., 0] * bins + cell[..., 1]) * bins + cell[..., 2]
            count += np.bincount(index.ravel(), minlength=bins**3)
        share = count / count.sum()
        return Prepared(sample_id, {"tokens": torch.from_numpy(share.astype(np.float32))[None]}, ())

    def features(self, batch: Sequence[Prepared], taps: Sequence[Tap]) -> dict[Tap, Vectors]:
        """See :class:`LatentModel`."""
        import torch

        tokens = torch.stack([p.tensors["tokens"] for p in batch])
        return {tap: pool(tokens, tap.pooling) for tap in taps}
