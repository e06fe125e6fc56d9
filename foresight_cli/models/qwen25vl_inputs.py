"""What Qwen2.5-VL is given for one sample: patches, token ids with a placeholder for each visual token, positions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from foresight_cli.clip import Clip, resized
from foresight_cli.config import Qwen25VLConfig
from foresight_cli.errors import ForesightError
from foresight_cli.models.model import Prepared

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from foresight_cli.models.qwen25vl_processor import Processor


class Inputs:
    """The checkpoint's own tokenizer, chat template and image processor (its PIL backend, for clips as well)."""

    def __init__(self, config: Qwen25VLConfig, parts: Processor, network: Any) -> None:
        """``network`` is the whole model: its config names the placeholders, and it knows how to number positions."""
        self.config = config
        self._parts = parts
        self._processor = processor = parts.image
        self._network = network
        self.placeholders: dict[str, int] = {
            "image": int(network.config.image_token_id),
            "video": int(network.config.video_token_id),
        }
        scale = processor.rescale_factor if processor.do_rescale else 1.0
        mean, std = (processor.image_mean, processor.image_std) if processor.do_normalize else ([0.0] * 3, [1.0] * 3)
        deviation = np.array(std)[:, None, None]
        self._scale = (scale / deviation).astype(np.float32)
        self._shift = (np.array(mean)[:, None, None] / deviation).astype(np.float32)
        self._prompt = lru_cache(maxsize=256)(self._number)
        self._lock = Lock()  # a tokenizer is not to be used by two threads at once
        self.token_ids("image", 1)  # a missing or foreign chat template is met here, not after an hour of pictures

    def prepare(self, clip: Clip, sample_id: str) -> Prepared:
        """See :class:`LatentModel`."""
        side = self.config.resolution
        frames = clip.frames if side is None else [resized(frame, side) for frame in clip.frames]
        patches, grid = self._patches(frames, clip.fps is None, sample_id)
        if side is not None and grid[1:] != (side // self._processor.patch_size,) * 2:
            raise ForesightError(
                f"model.resolution={side}: the checkpoint's image processor resizes it again, to keep "
                f"{self._processor.size['shortest_edge']} to {self._processor.size['longest_edge']} pixels an image"
            )
        with self._lock:
            ids, positions = self._prompt(grid, clip.fps)
        tensors = {"pixel_values": patches, "input_ids": ids, "position_ids": positions}
        return Prepared(sample_id, tensors, grid, length=len(ids))

    def _patches(
        self, frames: Sequence[Image.Image], still: bool, sample_id: str
    ) -> tuple[torch.Tensor, tuple[int, int, int]]:
        """Patches ``[t * h * w, C * 2 * 14 * 14]`` and the grid (t, h, w).

        A temporal patch is two frames in a row, the last of an odd number doubled; a still picture is doubled too. The
        library's own video processor wants torchvision, and calling its image processor takes longer than the
        arithmetic itself: here is that arithmetic, with the processor's settings, its resizing rule and its cutting up.
        """
        import torch

        processor = self._processor
        patch, pair = processor.patch_size, processor.temporal_patch_size
        try:
            resized_frames = [self._in_bounds(frame) for frame in frames]
        except ValueError as error:
            size = f"{frames[0].width} x {frames[0].height}"
            raise ForesightError(
                f"cannot prepare {sample_id!r} of {size}: {error}. Resize every picture to a square with "
                "model.resolution=252, or take this one out of the data"
            ) from None
        each = []
        for frame in resized_frames:
            pixels = np.asarray(frame).transpose(2, 0, 1).astype(np.float32)  # [C, H, W]
            pixels *= self._scale
            pixels -= self._shift
            cut, height, width = processor.patchify(pixels, patch, processor.merge_size, pair if still else 1)
            each.append(cut)
        if still:
            return torch.from_numpy(each[0]), (1, height, width)
        each += each[-1:] * (-len(each) % pair)
        paired = np.stack(each).reshape(-1, pair, height * width, 3, patch * patch).transpose(0, 2, 3, 1, 4)
        flat = np.ascontiguousarray(paired).reshape(-1, 3 * pair * patch * patch)
        return torch.from_numpy(flat), (len(each) // pair, height, width)

    def _in_bounds(self, frame: Image.Image) -> Image.Image:
        """``frame`` with sides that patches divide and as many pixels as the checkpoint was trained on.

        Raises:
            ValueError: it is more than 200 times as long as wide.
        """
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

        processor = self._processor
        if not processor.do_resize:
            return frame
        height, width = smart_resize(
            frame.height,
            frame.width,
            factor=processor.patch_size * processor.merge_size,
            min_pixels=processor.size["shortest_edge"],
            max_pixels=processor.size["longest_edge"],
        )
        if frame.size == (width, height):
            return frame
        return frame.resize((width, height), processor.resample)

    def _number(self, grid: tuple[int, int, int], fps: float | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids ``[tokens]`` for a grid of patches, and their positions in time, height and width ``[3, tokens]``.

        The model's own rule numbers them, one sample at a time: in a padded batch each keeps what it has alone.
        """
        import torch

        kind = "image" if fps is None else "video"
        ids = self.token_ids(kind, grid[0] * grid[1] * grid[2] // self._processor.merge_size**2)
        types = (ids == self.placeholders[kind]).int() * (1 if kind == "image" else 2)
        said: dict[str, Any] = {f"{kind}_grid_thw": torch.tensor([grid])}
        if fps is not None:
            said["second_per_grid_ts"] = torch.tensor([self._processor.temporal_patch_size / fps])
        positions, _ = self._network.model.get_rope_index(ids[None], mm_token_type_ids=types[None], **said)
        return ids, positions[:, 0]

    def token_ids(self, kind: str, visual_tokens: int) -> torch.Tensor:
        """The chat prompt ``[tokens]`` with so many placeholders of ``kind``, "image" or "video".

        With ``tokens=image`` it ends with the last of them: by causality, what follows cannot change them.
        """
        import torch

        placeholder = self.placeholders[kind]
        ids = self._parts.prompt_ids(kind, self.config.prompt, placeholder)
        at = ids.index(placeholder)
        tail = [] if self.config.tokens == "image" else ids[at + 1 :]
        return torch.tensor([*ids[:at], *[placeholder] * visual_tokens, *tail])
