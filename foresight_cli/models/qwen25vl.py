"""``model=qwen25vl``: the hidden states of Qwen2.5-VL's decoder for one picture and a short prompt.

``layer=k`` is ``hidden_states[k]`` in transformers' terms: the residual stream after ``k`` decoder blocks, before the
final norm. ``layer=final`` is after all blocks and after the final norm (``model.final_norm=false``: before it).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from PIL import Image

from foresight_cli.config import Qwen25VLConfig
from foresight_cli.errors import ForesightError, UsageError
from foresight_cli.models.checkpoint import Checkpoint
from foresight_cli.models.model import Prepared, Tap
from foresight_cli.pooling import pool

if TYPE_CHECKING:
    import torch
    from transformers import Qwen2_5_VLForConditionalGeneration


class _LastTapRead(Exception):
    """Raised inside a forward pass once every wanted layer is read: the blocks above it need not run."""


class Qwen25VL:
    """``Qwen2_5_VLForConditionalGeneration`` with its own tokenizer, chat template and image processor."""

    def __init__(self, config: Qwen25VLConfig) -> None:
        self.config = config
        self.checkpoint = Checkpoint(config.checkpoint, config.revision)
        self._network: Qwen2_5_VLForConditionalGeneration | None = None
        self._processor: Any = None
        self._tokenizer: Any = None

    def recipe(self, layer: str) -> dict[str, Any]:
        """See :class:`LatentModel`. ``final_norm`` stands only where it changes something."""
        config = self.config
        return {
            "name": "qwen25vl",
            **self.checkpoint.recipe(),
            "dtype": config.dtype,
            "resolution": config.resolution,
            "resize": "pil-bicubic",
            "tokens": config.tokens,
            "prompt": config.prompt,
            **({"final_norm": config.final_norm} if layer == "final" else {}),
        }

    def identity(self, *, reach_hub: bool) -> dict[str, Any]:
        """See :class:`LatentModel`."""
        return self.checkpoint.identity(reach_hub=reach_hub)

    def check_layers(self, layers: Sequence[str]) -> None:
        """See :class:`LatentModel`."""
        said = json.loads(self.checkpoint.file("config.json").read_text(encoding="utf-8"))
        blocks = int((said.get("text_config") or said).get("num_hidden_layers", said.get("num_hidden_layers", 0)))
        for layer in layers:
            if layer != "final" and int(layer) >= blocks:
                has = f"It has 0 (the embeddings) to {blocks - 1}, and final"
                raise UsageError(f"{self.config.checkpoint} has no layer {layer}. {has}")

    def load(self, device: str) -> None:
        """Read network, tokenizer and image processor through ``from_pretrained``."""
        import torch
        from transformers import AutoTokenizer, Qwen2_5_VLForConditionalGeneration
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
        from transformers.utils.logging import disable_progress_bar

        if not sys.stderr.isatty():
            disable_progress_bar()
        folder = self.checkpoint.fetch()
        with self.checkpoint.reading():
            network, report = Qwen2_5_VLForConditionalGeneration.from_pretrained(
                folder,
                dtype=getattr(torch, self.config.dtype),
                attn_implementation="sdpa",
                use_safetensors=True,
                output_loading_info=True,
            )
            self._tokenizer = AutoTokenizer.from_pretrained(folder)
            self._processor = Qwen2VLImageProcessorPil.from_pretrained(folder)
        self.checkpoint.refuse_missing(set(report["missing_keys"]) - {"lm_head.weight"}, "Qwen2.5-VL")
        self._network = network.to(device).eval().requires_grad_(False)
        with self.checkpoint.reading():
            self._tokenize(1)  # a missing or foreign chat template is met here, not after an hour of pictures
        self._prompt_ids = lru_cache(maxsize=256)(self._tokenize)

    def prepare(self, image: Image.Image, sample_id: str) -> Prepared:
        """Patches, their grid, and the prompt with one placeholder for each visual token."""
        side = self.config.resolution
        if side is not None and image.size != (side, side):
            image = image.resize((side, side), Image.Resampling.BICUBIC)
        try:
            inputs = self._processor(images=[image], return_tensors="pt")
        except ValueError as error:
            raise ForesightError(f"cannot prepare {sample_id!r} of {image.width} x {image.height}: {error}") from None
        grid = inputs["image_grid_thw"][0]
        if side is not None and (int(grid[1]), int(grid[2])) != (side // self._processor.patch_size,) * 2:
            raise ForesightError(
                f"model.resolution={side}: the checkpoint's image processor resizes it again, to keep "
                f"{self._processor.size['shortest_edge']} to {self._processor.size['longest_edge']} pixels an image"
            )
        visual = int(grid.prod()) // self._processor.merge_size**2
        ids = self._prompt_ids(visual)
        tensors = {"pixel_values": inputs["pixel_values"], "image_grid_thw": grid, "input_ids": ids}
        return Prepared(sample_id, tensors, tuple(int(g) for g in grid))

    def _tokenize(self, visual_tokens: int) -> torch.Tensor:
        """The chat prompt ``[tokens]`` with ``visual_tokens`` image placeholders.

        With ``tokens=image`` it ends with the last of them: by causality, what follows cannot change them.
        """
        import torch

        content = [{"type": "image"}, {"type": "text", "text": self.config.prompt}]
        text = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        image_id = self._image_id
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        if ids.count(image_id) != 1:
            places = ids.count(image_id)
            raise ForesightError(
                f"the chat template of {self.config.checkpoint} has {places} places for the image; wanted 1"
            )
        at = ids.index(image_id)
        tail = [] if self.config.tokens == "image" else ids[at + 1 :]
        return torch.tensor([*ids[:at], *[image_id] * visual_tokens, *tail])

    @property
    def _image_id(self) -> int:
        assert self._network is not None, "load() first"
        return int(self._network.config.image_token_id)

    def features(self, batch: Sequence[Prepared], taps: Sequence[Tap]) -> dict[Tap, torch.Tensor]:
        """See :class:`LatentModel`. The language-model head never runs, nor any block above the last layer wanted."""
        import torch

        network = self._network
        assert network is not None, "load() first"
        device = network.device
        input_ids = torch.stack([p.tensors["input_ids"] for p in batch]).to(device)
        visual = input_ids == self._image_id
        read: dict[Tap, torch.Tensor] = {}
        with torch.inference_mode(), self._hooks(taps, visual, read), suppress(_LastTapRead):
            network.model(
                input_ids=input_ids,
                pixel_values=torch.cat([p.tensors["pixel_values"] for p in batch]).to(device, network.dtype),
                image_grid_thw=torch.stack([p.tensors["image_grid_thw"] for p in batch]).to(device),
                mm_token_type_ids=visual.int(),
                use_cache=False,
            )
        return {tap: read[tap].cpu() for tap in taps}

    @contextmanager
    def _hooks(self, taps: Sequence[Tap], visual: torch.Tensor, read: dict[Tap, torch.Tensor]) -> Iterator[None]:
        """Pool each wanted layer where it appears, so that no full hidden state is kept."""
        assert self._network is not None
        decoder = self._network.model.language_model

        def keep(layer: str, hidden: torch.Tensor) -> None:
            tokens = hidden
            if self.config.tokens == "image":
                tokens = hidden[visual].view(len(hidden), -1, hidden.shape[-1])
            for tap in taps:
                if tap.layer == layer:
                    read[tap] = pool(tokens, tap.pooling)
            if len(read) == len(taps):
                raise _LastTapRead

        handles = []
        for layer in {tap.layer for tap in taps}:
            if layer == "final" and self.config.final_norm:
                handles.append(decoder.norm.register_forward_hook(lambda _m, _i, out: keep("final", out)))
            elif layer == "final":
                handles.append(decoder.norm.register_forward_pre_hook(lambda _m, inputs: keep("final", inputs[0])))
            else:  # what enters block k is what left block k - 1: hidden_states[k]
                block = decoder.layers[int(layer)]
                handles.append(block.register_forward_pre_hook(lambda _m, inputs, at=layer: keep(at, inputs[0])))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
