"""The image patches of Qwen2.5-VL, made by the settings of the checkpoint's image processor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from foresight_cli.errors import UnfitSample

if TYPE_CHECKING:
    import torch
    from PIL import Image


class Patches:
    """Cuts pictures and clips into patches, like the library's image processor (its PIL version).

    The library's video processor needs torchvision, and calling its image processor takes longer than the arithmetic
    itself: this class does that arithmetic, with the processor's settings, its resizing rule and its patching.
    """

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.size: int = processor.patch_size
        self.merge: int = processor.merge_size
        self.frames: int = processor.temporal_patch_size
        scale = processor.rescale_factor if processor.do_rescale else 1.0
        mean, std = (processor.image_mean, processor.image_std) if processor.do_normalize else (0.0, 1.0)
        deviation = np.broadcast_to(std, 3)[:, None, None]
        self._scale = (scale / deviation).astype(np.float32)
        self._shift = (np.broadcast_to(mean, 3)[:, None, None] / deviation).astype(np.float32)

    @property
    def bounds(self) -> str:
        """The number of pixels that a resized picture may have, in words."""
        return f"{self.processor.size['shortest_edge']} to {self.processor.size['longest_edge']} pixels an image"

    def __call__(
        self, frames: Sequence[Image.Image], still: bool, sample_id: str
    ) -> tuple[torch.Tensor, tuple[int, int, int]]:
        """Return patches ``[t * h * w, C * 2 * 14 * 14]`` and the grid (t, h, w).

        A temporal patch is two frames in a row, the last of an odd number doubled; a still picture is doubled too.

        Raises:
            UnfitSample: the processor does not take pictures of this shape.
        """
        import torch

        patch, pair = self.size, self.frames
        try:
            resized = [self._in_bounds(frame) for frame in frames]
            if any(side % (patch * self.merge) for side in resized[0].size):
                raise ValueError(f"its sides are no multiples of {patch * self.merge}, and do_resize is false")
        except ValueError as error:
            raise UnfitSample(
                sample_id,
                f"{frames[0].width} x {frames[0].height} pixels: {error}",
                "To resize every picture to a square, add model.resolution=252",
            ) from None
        patches = []
        for frame in resized:
            pixels = np.asarray(frame).transpose(2, 0, 1).astype(np.float32)  # [C, H, W]
            pixels *= self._scale
            pixels -= self._shift
            cut, height, width = self.processor.patchify(pixels, patch, self.merge, pair if still else 1)
            patches.append(cut)
        if still:
            return torch.from_numpy(patches[0]), (1, height, width)
        patches += patches[-1:] * (-len(patches) % pair)
        paired = np.stack(patches).reshape(-1, pair, height * width, 3, patch * patch).transpose(0, 2, 3, 1, 4)
        flat = np.ascontiguousarray(paired).reshape(-1, 3 * pair * patch * patch)
        return torch.from_numpy(flat), (len(patches) // pair, height, width)

    def _in_bounds(self, frame: Image.Image) -> Image.Image:
        """Resize ``frame`` to sides that patches divide and to the number of pixels that the checkpoint was trained on.

        Raises:
            ValueError: one side is 200 times the other, or more.
        """
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

        processor = self.processor
        if not processor.do_resize:
            return frame
        height, width = smart_resize(
            frame.height,
            frame.width,
            factor=self.size * self.merge,
            min_pixels=processor.size["shortest_edge"],
            max_pixels=processor.size["longest_edge"],
        )
        if frame.size == (width, height):
            return frame
        return frame.resize((width, height), processor.resample)
