"""Pretraining of the tiny VLM's vision tower: from captions alone it would not see shapes for thousands of steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from foresight_cli.data.shapes import COLOURS, HUE, SIZE, SIZES, Shapes

Log = Callable[[str], None]

PIXELS, CROP, JITTER = 112, 56, 8
STEPS, BATCH, LEARNING_RATE, WARMUP, CLIP = 2500, 64, 3e-3, 50, 1.0
POOL_SEED, POOL_PER_CATEGORY = 2999, 500
LEAST_VARIANCE = 1e-3


def pretrain(tower: nn.Module, images: Qwen2VLImageProcessorPil, log: Log) -> None:
    """Train ``tower`` to recognise shape, colour and size from 56x56 crops around the object, through a linear head.

    A crop is a quarter of a picture: it is four times as fast, and the object is not lost among empty tokens.
    """
    torch.manual_seed(0)
    rng, start = np.random.default_rng(0), time.monotonic()
    shapes = Shapes(per_category=POOL_PER_CATEGORY, seed=POOL_SEED)
    pool = torch.stack([small(shapes.image(i)) for i in range(len(shapes.samples))])
    centres = PIXELS * torch.tensor([[s.attributes["x"], s.attributes["y"]] for s in shapes.samples])
    labels = torch.tensor(
        [
            [shapes.categories.index(s.label or ""), HUE.word(s.attributes["hue"]), SIZE.word(s.attributes["size"])]
            for s in shapes.samples
        ]
    )
    counts = [len(shapes.categories), len(COLOURS), len(SIZES)]
    _whiten(tower.patch_embed.proj, patchify(pool[::4], images))
    head = nn.Linear(tower.config.out_hidden_size, sum(counts))
    weights = [*(p for p in tower.parameters() if p.requires_grad), *head.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    grid, history = torch.tensor([[1, CROP // 14, CROP // 14]] * BATCH), []
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * min((step + 1) / WARMUP, 0.02 + 0.49 * (1 + math.cos(math.pi * step / STEPS)))
        picks = torch.from_numpy(rng.integers(len(pool), size=BATCH))
        crops, _ = mirror(_crop(pool[picks], centres[picks], rng), rng)
        tokens = tower(patchify(crops, images).flatten(0, 1), grid_thw=grid).pooler_output
        guesses = head(tokens.unflatten(0, (BATCH, -1)).mean(1)).split(counts, dim=1)
        losses = [nn.functional.cross_entropy(guess, labels[picks, i]) for i, guess in enumerate(guesses)]
        optimiser.zero_grad()
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights, CLIP)
        optimiser.step()
        history.append([(guess.argmax(1) == labels[picks, i]).float().mean().item() for i, guess in enumerate(guesses)])
        if (step + 1) % 200 == 0:
            shape, colour, size = np.mean(history[-200:], axis=0)
            log(
                f"vision step {step + 1}/{STEPS}: right in training crops: shape {shape:.3f}, colour {colour:.3f}, "
                f"size {size:.3f}, {time.monotonic() - start:.0f} s"
            )


def patchify(pictures: Tensor, images: Qwen2VLImageProcessorPil) -> Tensor:
    """Compute the image processor's patches of 8-bit pictures ``[n, 3, h, w]`` at once: ``[n, patches, 1176]``."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (images.image_mean, images.image_std))
    rows, columns = (pixels // 28 for pixels in pictures.shape[-2:])
    patches = ((pictures.float() / 255 - mean) / std).reshape(len(pictures), 3, rows, 2, 14, columns, 2, 14)
    patches = patches.permute(0, 2, 5, 3, 6, 1, 4, 7).unsqueeze(6)
    return patches.expand(-1, -1, -1, -1, -1, -1, 2, -1, -1).reshape(len(pictures), rows * columns * 4, 1176)


def _whiten(embedding: nn.Conv3d, patches: Tensor) -> None:
    """Fix the patch embedding to the main components of patches with an edge, each scaled to the same variance.

    With random weights the constant part of a patch is a thousand times larger than its edges and hides them.
    """
    frames = patches.flatten(0, 1).reshape(-1, 3, 2, 196)[:, :, 0].double()
    frames = frames[frames.std(2).sum(1) > 0.2].flatten(1)
    variances, directions = torch.linalg.eigh(frames.T @ frames / len(frames))
    width = embedding.out_channels
    scaled = directions[:, -width:] / variances[-width:].clamp(min=LEAST_VARIANCE).sqrt()
    kernel = scaled.T.reshape(width, 3, 1, 14, 14).expand(-1, -1, 2, -1, -1) / 2
    embedding.requires_grad_(False)
    with torch.no_grad():
        embedding.weight.copy_(kernel.float())


def small(picture: Image.Image) -> Tensor:
    """Return the picture resized to 112x112, as 8-bit ``[3, 112, 112]``."""
    return torch.from_numpy(np.array(picture.resize((PIXELS, PIXELS), Image.Resampling.BICUBIC))).permute(2, 0, 1)


def _crop(pictures: Tensor, centres: Tensor, rng: np.random.Generator) -> Tensor:
    jitter = torch.from_numpy(rng.uniform(-JITTER, JITTER, (len(pictures), 2)))
    corners = (centres - CROP / 2 + jitter).round().long().clamp(0, PIXELS - CROP)
    span, rows = torch.arange(CROP), torch.arange(len(pictures))[:, None, None, None]
    x, y = (corners[:, axis, None] + span for axis in (0, 1))
    return pictures[rows, torch.arange(3)[None, :, None, None], y[:, None, :, None], x[:, None, None, :]]


def mirror(pictures: Tensor, rng: np.random.Generator) -> tuple[Tensor, np.ndarray]:
    """Flip each picture at random; also return the changes: upside down, left to right, axes swapped."""
    done = []
    for change in (lambda c: c.flip(2), lambda c: c.flip(3), lambda c: c.transpose(2, 3)):
        done.append(rng.random(len(pictures)) < 0.5)
        pictures = torch.where(torch.from_numpy(done[-1])[:, None, None, None], change(pictures), pictures)
    return pictures, np.stack(done, axis=1)
