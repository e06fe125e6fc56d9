"""Training of the tiny Qwen2.5-VL: 28 narrow decoder layers learn to caption drawings, on a pretrained vision tower."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from foresight_cli.data.dataset import Sample
from foresight_cli.data.shapes import Shapes, caption
from scripts.train_tiny_weights import tokenizer as words
from scripts.train_tiny_weights import vision

Log = Callable[[str], None]

PIXELS, VISUAL_TOKENS = 112, 16
STEPS, BATCH, LEARNING_RATE, WARMUP, CLIP = 1500, 32, 1e-3, 100, 1.0
VISION_SHARE = 0.3  # of the learning rate, for the tower, which is pretrained
POOL_SEED, POOL_PER_CATEGORY, POOL_STEPS = 2000, 400, 500
IGNORED = -100

WEIGHT_SPREAD = 0.1
"""Standard deviation of the initial weights, near 1 / sqrt(width): with the usual 0.02 it learns colours alone."""

ROPE_BASE = 4.0
"""With Qwen's 1e6 and heads of 16 channels, columns 1 to 4 of the picture would turn a query by less than 0.02."""


def build(tokenizer: PreTrainedTokenizerFast, seed: int = 0) -> Qwen2_5_VLForConditionalGeneration:
    """Return an untrained model of 1.7M parameters; 112x112 pixels become 16 visual tokens."""
    torch.manual_seed(seed)
    token = tokenizer.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 28,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "initializer_range": WEIGHT_SPREAD,
            "rope_parameters": {"rope_type": "default", "rope_theta": ROPE_BASE, "mrope_section": [2, 3, 3]},
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={
            "depth": 4,
            "hidden_size": 96,
            "intermediate_size": 192,
            "num_heads": 4,
            "out_hidden_size": 64,
            "window_size": 56,
            "fullatt_block_indexes": [1, 3],
            "initializer_range": WEIGHT_SPREAD,
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        initializer_range=WEIGHT_SPREAD,
        tie_word_embeddings=True,
    )
    model = Qwen2_5_VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def processor() -> Qwen2VLImageProcessorPil:
    """Return Qwen's image processor; pictures from 56x56 pixels up keep their size."""
    return Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=28 * 28 * 1280)


def train(folder: Path, log: Log) -> None:
    """Train from scratch and save into ``folder``."""
    torch.manual_seed(0)
    tokenizer, images, rng = words.build(), processor(), np.random.default_rng(0)
    tokenizer.save_pretrained(folder)
    images.save_pretrained(folder)
    model = build(tokenizer)
    log(f"vlm has {sum(p.numel() for p in model.parameters()):,} parameters, {len(tokenizer)} tokens")
    vision.pretrain(model.model.visual, images, log)
    weights = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in model.model.visual.parameters() if p.requires_grad], "share": VISION_SHARE},
        {"params": list(model.model.language_model.parameters()), "share": 1.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    start, losses = time.monotonic(), []
    for step, (patches, captions) in enumerate(_batches(rng, images)):
        rate = LEARNING_RATE * min((step + 1) / WARMUP, 0.02 + 0.49 * (1 + math.cos(math.pi * step / STEPS)))
        for group in optimiser.param_groups:
            group["lr"] = rate * group["share"]
        loss = _loss(model, tokenizer, patches, captions)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights, CLIP)
        optimiser.step()
        losses.append(loss.item())
        if (step + 1) % 50 == 0:
            seconds = time.monotonic() - start
            log(f"vlm step {step + 1}/{STEPS}: caption loss {np.mean(losses[-50:]):.3f} nats a token, {seconds:.0f} s")
    save(model, folder)
    log(f"vlm trained in {time.monotonic() - start:.0f} s")


def save(model: Qwen2_5_VLForConditionalGeneration, folder: Path) -> None:
    """Write the model in bfloat16."""
    half = Qwen2_5_VLForConditionalGeneration(model.config)
    half.load_state_dict(model.state_dict())
    half.generation_config = model.generation_config
    half.to(torch.bfloat16).save_pretrained(folder)
    for file in folder.glob("*.safetensors"):
        file.chmod(0o644)  # safetensors writes 0600


def to_patches(pictures: list[Image.Image], images: Qwen2VLImageProcessorPil) -> Tensor:
    """Return patches ``[n, 64, 1176]`` of pictures resized to 112x112."""
    small = [picture.resize((PIXELS, PIXELS), Image.Resampling.BICUBIC) for picture in pictures]
    patches = images(images=small, return_tensors="pt")["pixel_values"]
    return patches.reshape(len(pictures), -1, patches.shape[-1])


def inputs(model: Qwen2_5_VLForConditionalGeneration, rows: list[list[int]], patches: Tensor) -> dict[str, Tensor]:
    """Return the model's arguments for chats of one picture each and of equal length."""
    ids, side = torch.tensor(rows), PIXELS // model.config.vision_config.patch_size
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "mm_token_type_ids": (ids == model.config.image_token_id).int(),
        "pixel_values": patches.flatten(0, 1),
        "image_grid_thw": torch.tensor([[1, side, side]] * len(rows)),
    }


def _loss(
    model: Qwen2_5_VLForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, patches: Tensor, captions: list[str]
) -> Tensor:
    prompt = words.chat(tokenizer, VISUAL_TOKENS)
    answers = [tokenizer(text + "<|im_end|>", add_special_tokens=False)["input_ids"] for text in captions]
    longest = max(map(len, answers))
    rows = [prompt + answer + [tokenizer.pad_token_id] * (longest - len(answer)) for answer in answers]
    wanted = torch.tensor([answer + [IGNORED] * (longest - len(answer)) for answer in answers])
    # Padding comes after the answer, where a causal model cannot see it: no mask is needed.
    logits = model(**inputs(model, rows, patches), use_cache=False, logits_to_keep=longest + 1).logits[:, :-1]
    return nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=IGNORED)


def _batches(rng: np.random.Generator, images: Qwen2VLImageProcessorPil) -> Iterator[tuple[Tensor, list[str]]]:
    for step in range(STEPS):
        if step % POOL_STEPS == 0:
            shapes = Shapes(per_category=POOL_PER_CATEGORY, seed=POOL_SEED + step // POOL_STEPS)
            pool = torch.stack([vision.small(shapes.image(i)) for i in range(len(shapes.samples))])
        picks = rng.integers(len(pool), size=BATCH)
        pictures, changes = vision.mirror(pool[torch.from_numpy(picks)], rng)
        mirrored = [_mirrored(shapes.samples[i], *change) for i, change in zip(picks, changes, strict=True)]
        yield vision.patchify(pictures, images), [caption(sample) for sample in mirrored]


def _mirrored(sample: Sample, upside_down: bool, left_to_right: bool, swapped: bool) -> Sample:
    x, y = sample.attributes["x"], sample.attributes["y"]
    x, y = 1 - x if left_to_right else x, 1 - y if upside_down else y
    x, y = (y, x) if swapped else (x, y)
    return replace(sample, attributes={**sample.attributes, "x": x, "y": y})
