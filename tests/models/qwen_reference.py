"""A plain transformers forward of Qwen2.5-VL with ``output_hidden_states=True``, for the tests of ``model=qwen25vl``.

It takes another path where it can: the placeholder is written n times into the text before the tokenizer sees it, the
whole network runs with its head, one sample at a time, the network numbers the positions itself, and hidden states are
taken from the tuple that transformers returns. A clip's patches are cut out pixel by pixel.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoTokenizer, ProcessorMixin, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from foresight_cli.config import Qwen25VLConfig
from foresight_cli.data.clip import Clip
from foresight_cli.extraction.batching import batches
from foresight_cli.models import Tap, open_model
from tests.builders import qwen_model

LAYERS = ("0", "4", "8", "16", "24", "final")
POOLINGS = ("channel_mean", "flat")
TAPS = tuple(Tap(layer, pooling) for layer in LAYERS for pooling in POOLINGS)
PROMPT = "What is this."


def picture(seed: int, width: int = 112, height: int = 112) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


SQUARES = [picture(i) for i in range(8)]
MIXED = [
    picture(8 + i, *size)
    for i, size in enumerate(
        [(112, 84), (60, 140), (112, 84), (200, 90), (112, 84), (84, 112), (56, 56), (224, 56), (90, 200)]
    )
]


def settings(checkpoint: Path, **changes) -> Qwen25VLConfig:
    return qwen_model(checkpoint, **{"resolution": None, "prompt": PROMPT, **changes})


def loaded(config: Qwen25VLConfig, **changes):
    """Return the model of ``config``, loaded once for all tests that do not change it."""
    return _loaded(dataclasses.replace(config, **changes))


@lru_cache
def _loaded(config):
    return fresh(config)


def fresh(config, **changes):
    model = open_model(dataclasses.replace(config, **changes))
    model.load("cpu")
    return model


def clip_of(sample: Image.Image | Clip) -> Clip:
    return sample if isinstance(sample, Clip) else Clip((sample,))


def features(model, samples, taps=TAPS, batch: int = 1) -> dict[Tap, list[torch.Tensor]]:
    """Return one vector for each sample, in order, batched like in the runner."""
    prepared = [model.prepare(clip_of(sample), str(i)) for i, sample in enumerate(samples)]
    by_tap: dict[Tap, dict[int, torch.Tensor]] = {tap: {} for tap in taps}
    for rows in batches(prepared, batch, pads=model.pads):
        for tap, values in model.features([prepared[i] for i in rows], taps).items():
            by_tap[tap].update(zip(rows, values, strict=True))
    return {tap: [by_row[i] for i in range(len(samples))] for tap, by_row in by_tap.items()}


class StillProcessor(Qwen2_5_VLProcessor):
    """Load what ``AutoProcessor`` does, without the video half, which needs torchvision."""

    def __init__(self, image_processor=None, tokenizer=None, chat_template=None) -> None:
        self.image_token = "<|image_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)


class Reference:
    """``reference(sample)`` -> states ``[tokens, d]`` by layer, those before the final norm, and the visual rows."""

    def __init__(self, checkpoint: Path, dtype: torch.dtype = torch.float32) -> None:
        self.network = Qwen2_5_VLForConditionalGeneration.from_pretrained(checkpoint, dtype=dtype).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        self.processor = Qwen2VLImageProcessorPil.from_pretrained(checkpoint)

    def __call__(self, sample: Image.Image | Clip, prompt: str = PROMPT):
        clip = clip_of(sample)
        kind, type_id = ("image", 1) if clip.fps is None else ("video", 2)
        if kind == "image":
            inputs = dict(self.processor(images=[clip.frames[0]], return_tensors="pt"))
        else:
            patches, grid = video_patches(clip.frames, self.processor)
            seconds = torch.tensor([2 / clip.fps])
            inputs = {"pixel_values_videos": patches, "video_grid_thw": grid, "second_per_grid_ts": seconds}
        visual = int(inputs[f"{kind}_grid_thw"].prod()) // 4
        message = {"role": "user", "content": [{"type": kind}, {"type": "text", "text": prompt}]}
        text = self.tokenizer.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
        pad = f"<|{kind}_pad|>"
        ids = self.tokenizer(text.replace(pad, pad * visual), return_tensors="pt")["input_ids"]
        is_visual = ids == getattr(self.network.config, f"{kind}_token_id")
        assert is_visual.sum() == visual
        before_norm = []
        norm = self.network.model.language_model.norm
        handle = norm.register_forward_pre_hook(lambda _, x: before_norm.append(x[0]))
        with torch.no_grad():
            out = self.network(
                input_ids=ids, mm_token_type_ids=is_visual.int() * type_id, attention_mask=torch.ones_like(ids),
                output_hidden_states=True, **inputs,
            )  # fmt: skip
        handle.remove()
        states = {str(k): out.hidden_states[k][0] for k in range(28)} | {"final": out.hidden_states[28][0]}
        return states, before_norm[0][0], is_visual[0]


def video_patches(frames: Sequence[Image.Image], processor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut a clip's patches by definition: frames 2t and 2t + 1 at one place, ordered by blocks of 2 x 2 places."""
    mean, std = (np.array(values)[:, None, None] for values in (processor.image_mean, processor.image_std))
    pixels = [(np.asarray(frame, dtype=np.float64).transpose(2, 0, 1) / 255 - mean) / std for frame in frames]
    pixels += pixels[-1:] * (len(pixels) % 2)
    rows, columns = (n // 14 for n in pixels[0].shape[1:])
    patches = []
    for t in range(len(pixels) // 2):
        for block_row in range(rows // 2):
            for block_column in range(columns // 2):
                for row in (2 * block_row, 2 * block_row + 1):
                    for column in (2 * block_column, 2 * block_column + 1):
                        at = (slice(None), slice(14 * row, 14 * row + 14), slice(14 * column, 14 * column + 14))
                        patches.append(np.stack([pixels[2 * t][at], pixels[2 * t + 1][at]], axis=1).ravel())
    grid = torch.tensor([[len(pixels) // 2, rows, columns]])
    return torch.tensor(np.array(patches), dtype=torch.float32), grid


def pooled(states: torch.Tensor, pooling: str) -> torch.Tensor:
    return states.mean(dim=0) if pooling == "channel_mean" else states.reshape(-1)


def chosen(states: torch.Tensor, visual: torch.Tensor, tokens: str) -> torch.Tensor:
    return {"image": states[visual], "text": states[~visual], "last": states[-1:], "all": states}[tokens]


def assert_equal(got: torch.Tensor, want: torch.Tensor) -> None:
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)
