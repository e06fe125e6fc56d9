"""Inputs of Qwen2.5-VL for one sample: patches, token ids with a placeholder for each visual token, positions."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from foresight_cli.config import Qwen25VLConfig
from foresight_cli.data.clip import Clip, resized
from foresight_cli.errors import ForesightError
from foresight_cli.models.model import Prepared

if TYPE_CHECKING:
    import torch

    from foresight_cli.models.qwen25vl_processor import Processor


class Inputs:
    """The checkpoint's own tokenizer, chat template and image processor (its PIL backend, for clips as well)."""

    def __init__(self, config: Qwen25VLConfig, parts: Processor, network: Any) -> None:
        """Keep the parts; ``network`` is the whole model, whose own code numbers the positions."""
        self.config = config
        self._parts = parts
        self._network = network
        self.placeholders = parts.placeholders
        self._prompt = lru_cache(maxsize=256)(self._number)
        self._lock = Lock()  # two threads must not use a tokenizer at once

    def prepare(self, clip: Clip, sample_id: str) -> Prepared:
        """See :class:`LatentModel`."""
        side = self.config.resolution
        frames = clip.frames if side is None else [resized(frame, side) for frame in clip.frames]
        patches, grid = self._parts.patches(frames, clip.fps is None, sample_id)
        if side is not None and grid[1:] != (side // self._parts.patches.size,) * 2:
            raise ForesightError(
                f"model.resolution={side}: the checkpoint's image processor resizes it again, to keep "
                f"{self._parts.patches.bounds}"
            )
        with self._lock:
            ids, positions = self._prompt(grid, clip.fps)
        tensors = {"pixel_values": patches, "input_ids": ids, "position_ids": positions}
        return Prepared(sample_id, tensors, grid, length=len(ids))

    def _number(self, grid: tuple[int, int, int], fps: float | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return token ids ``[tokens]`` for a grid of patches, and positions in time, height and width ``[3, tokens]``.

        The model's own rule numbers them, one sample at a time: a sample has the same positions alone and in a batch.
        """
        import torch

        kind = "image" if fps is None else "video"
        ids = self.token_ids(kind, grid[0] * grid[1] * grid[2] // self._parts.patches.merge**2)
        types = (ids == self.placeholders[kind]).int() * (1 if kind == "image" else 2)
        arguments: dict[str, Any] = {f"{kind}_grid_thw": torch.tensor([grid])}
        if fps is not None:
            arguments["second_per_grid_ts"] = torch.tensor([self._parts.patches.frames / fps])
        positions, _ = self._network.model.get_rope_index(ids[None], mm_token_type_ids=types[None], **arguments)
        return ids, positions[:, 0]

    def token_ids(self, kind: str, visual_tokens: int) -> torch.Tensor:
        """Return the chat prompt ``[tokens]`` with ``visual_tokens`` placeholders of ``kind``, "image" or "video".

        With ``tokens=image`` it ends with the last of them: attention is causal, so what follows cannot change them.
        """
        import torch

        placeholder = self.placeholders[kind]
        ids = self._parts.prompt_ids(kind, self.config.prompt)
        at = ids.index(placeholder)
        tail = [] if self.config.tokens == "image" else ids[at + 1 :]
        return torch.tensor([*ids[:at], *[placeholder] * visual_tokens, *tail])
