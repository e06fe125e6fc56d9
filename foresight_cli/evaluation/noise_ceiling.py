"""The noise ceiling: R2 between the target's latents of pictures and of imperceptibly changed copies of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from foresight_cli.catalog.reopen import loaded_model
from foresight_cli.evaluation.previews import clips_of
from foresight_cli.latents import Entry
from foresight_cli.machine.devices import usable_device
from foresight_cli.models import Tap

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from foresight_cli.data import Dataset

ROWS = 64
"""Number of samples that are run through the target again; each costs a forward pass."""


def noise_ceiling(
    entry: Entry, ids: Sequence[str], dataset: Dataset, mean: torch.Tensor, change: str, device: str
) -> float:
    """Return R2 of the target's latents after ``change``, about ``mean [d]``: 1 - |y' - y|^2 / |y - mean|^2.

    Args:
        entry: the complete cache entry of the target.
        ids: sample ids; the first `ROWS` samples are run again.
        dataset: the data behind the entry.
        mean: mean of the training rows.
        change: ``shift`` moves every frame by one pixel right and down, ``jpeg`` saves it once with quality 95.
        device: as in ``device=``.

    Raises:
        ForesightError: pictures or checkpoint are missing or have changed since.

    Source: Nili et al. 2014 for the idea of a noise ceiling.
    """
    import torch

    clips, truth = clips_of(entry, ids[:ROWS], dataset)
    network = loaded_model(entry, usable_device(device))
    tap = Tap(entry.recipe.layer, entry.recipe.pooling)
    residual = total = 0.0
    for sample_id, clip, latents in zip(ids, clips, truth, strict=False):
        changed = replace(clip, frames=tuple(CHANGES[change](frame) for frame in clip.frames))
        with torch.inference_mode():
            repeated = network.features([network.prepare(changed, sample_id)], (tap,))[tap][0]
        y = latents.double()
        residual += float((repeated.double().cpu().flatten() - y).square().sum())
        total += float((y - mean).square().sum())
    return 1 - residual / total


def shifted(frame: Image.Image) -> Image.Image:
    """Move ``frame`` one pixel to the right and down; the edge is repeated in the free row and column."""
    from PIL import Image

    pixels = np.asarray(frame)
    return Image.fromarray(np.pad(pixels, ((1, 0), (1, 0), (0, 0)), mode="edge")[:-1, :-1])


def recompressed(frame: Image.Image) -> Image.Image:
    """Save ``frame`` as a JPEG of quality 95 and read it again."""
    from PIL import Image

    buffer = io.BytesIO()
    frame.save(buffer, "JPEG", quality=95)
    return Image.open(buffer).convert("RGB")


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {"shift": shifted, "jpeg": recompressed}
