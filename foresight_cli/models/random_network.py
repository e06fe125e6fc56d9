"""``model=random_network``: a control that was never trained, a small convolutional network with random weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from foresight_cli.config import RandomNetworkConfig
from foresight_cli.data.clip import Clip
from foresight_cli.models.model import Prepared, Tap
from foresight_cli.models.pooling import pool
from foresight_cli.models.without_checkpoint import WithoutCheckpoint

if TYPE_CHECKING:
    import torch

WIDTHS = (32, 64, 128, 256)
"""Channels of each stage; each halves the picture's sides."""
NETWORK = "conv 3x3 stride 2 + relu, 32-64-128-256, he-uniform of pcg64, float64, pixels in [-1, 1]"
"""All of the network that no setting gives. It is part of the cache key, so it must change with any number."""
FRAMES = 64
"""Pictures that go through the network at once, whatever the batch: this limits the memory of a batch of long clips."""


class RandomNetwork(WithoutCheckpoint):
    """Four stages of 3x3 convolution (stride 2, zero padding, no bias) and ReLU: a grid ``[256, T, r/16, r/16]``.

    Its features show what the architecture gives without training: a trained source must beat it. ``flat`` keeps
    positions; ``channel_mean`` is the global average.

    Each frame goes through alone, in float64, and the result is rounded to float32 once: neither the rest of the batch
    nor a library's order of addition changes more than a rare last digit.

    Source: He et al. 2015 (arXiv 1502.01852) for the variance of the weights, 2 / fan-in.
    """

    def __init__(self, config: RandomNetworkConfig) -> None:
        self.config = config
        self._kernels: list[torch.Tensor] = []

    def recipe(self, layer: str) -> dict[str, Any]:
        """See :class:`LatentModel`."""
        config = self.config
        return {
            "name": "random_network",
            "resolution": config.resolution,
            "resize": "pil-box",
            "seed": config.seed,
            "network": NETWORK,
        }

    def row_bytes(self, tap: Tap, frames: int) -> int | None:
        """See :class:`LatentModel`."""
        side = self.config.resolution // 2 ** len(WIDTHS)
        return 4 * WIDTHS[-1] * (1 if tap.pooling == "channel_mean" else frames * side**2)

    def load(self, device: str) -> None:
        """Draw the weights."""
        import torch

        self._kernels = [torch.from_numpy(kernel).to(device) for kernel in kernels(self.config.seed)]

    def prepare(self, clip: Clip, sample_id: str) -> Prepared:
        """Return each frame as a square, by the mean of each cell (PIL's box filter); 8 bits, scaled later."""
        import torch

        side = self.config.resolution
        square = np.stack([np.asarray(frame.resize((side, side), Image.Resampling.BOX)) for frame in clip.frames])
        pixels = torch.from_numpy(square).permute(0, 3, 1, 2).contiguous()
        return Prepared(sample_id, {"pixels": pixels}, (len(clip.frames),))

    def features(self, batch: Sequence[Prepared], taps: Sequence[Tap]) -> dict[Tap, torch.Tensor]:
        """See :class:`LatentModel`."""
        import torch

        frames = torch.cat([p.tensors["pixels"] for p in batch])
        with torch.inference_mode():
            grids = torch.cat([self._through(some) for some in frames.split(FRAMES)])
        grid = grids.unflatten(0, (len(batch), -1)).transpose(1, 2)  # [b, C, T, h, w]
        return {tap: pool(grid, tap.pooling) for tap in taps}

    def _through(self, frames: torch.Tensor) -> torch.Tensor:
        """Return the last stage's values ``[n, 256, h, w]``, float32 on the CPU, of 8-bit pixels ``[n, 3, r, r]``."""
        import torch

        assert self._kernels, "load() first"
        hidden = frames.to(self._kernels[0]) / 127.5 - 1
        for kernel in self._kernels:
            hidden = torch.nn.functional.conv2d(hidden, kernel, stride=2, padding=1).relu_()
        return hidden.float().cpu()


def kernels(seed: int) -> list[NDArray[np.float64]]:
    """Draw the weights of each stage, ``[out, in, 3, 3]``, uniform with variance 2 / fan-in; the same bits everywhere.

    They are computed from the raw output of PCG64, which numpy promises never to change (NEP 19), by exact steps and a
    square root: the draws of torch or numpy from a distribution may change with their versions.

    Example:
        >>> [kernel.shape for kernel in kernels(0)]
        [(32, 3, 3, 3), (64, 32, 3, 3), (128, 64, 3, 3), (256, 128, 3, 3)]
    """
    bits = np.random.PCG64(seed)
    drawn: list[NDArray[np.float64]] = []
    for width, wider in pairwise((3, *WIDTHS)):
        fan_in = 9 * width
        uniform = (bits.random_raw(wider * fan_in) >> 11).astype(np.float64) * 2.0**-53  # in [0, 1)
        drawn.append(((2 * uniform - 1) * math.sqrt(6 / fan_in)).reshape(wider, width, 3, 3))
    return drawn
