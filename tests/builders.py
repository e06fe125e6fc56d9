"""Settings of small extractions, and readers of the files that they write."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foresight_cli.config import (
    ExtractConfig,
    ImageFolderConfig,
    LocalConfig,
    PixelsConfig,
    Qwen25VLConfig,
    ShapesConfig,
)
from foresight_cli.latents import Entry
from foresight_cli.models import Tap
from foresight_cli.models.checkpoint import TINY, Checkpoint

SHAPES = ShapesConfig(name="shapes", variant="default", per_category=2, seed=0, size=32)


def pixels(cache: Path, **changes) -> ExtractConfig:
    base = ExtractConfig(
        model=PixelsConfig(name="pixels", resolution=4),
        layers=("final",),
        poolings=("channel_mean",),
        data=SHAPES,
        weights="hub",
        runner=LocalConfig("local", workers=1),
        cache_dir=str(cache),
        device="cpu",
        batch_size=16,
        rows_per_shard=8,
    )
    return dataclasses.replace(base, **changes)


def qwen_model(checkpoint: Path, **changes) -> Qwen25VLConfig:
    base = Qwen25VLConfig(
        name="qwen25vl",
        checkpoint=str(checkpoint),
        revision=None,
        dtype="float32",
        init="pretrained",
        init_seed=0,
        resolution=56,
        tokens="image",
        prompt="Describe.",
        final_norm=True,
    )
    return dataclasses.replace(base, **changes)


def qwen(cache: Path, checkpoint: Path, **changes) -> ExtractConfig:
    """Return settings with ``changes`` of the model's or of the stage's settings."""
    fields = {field.name for field in dataclasses.fields(Qwen25VLConfig)}
    own = {key: changes.pop(key) for key in list(changes) if key in fields}
    return pixels(cache, model=qwen_model(checkpoint, **own), **{"layers": ("4",), **changes})


def one_commit(monkeypatch: pytest.MonkeyPatch, commit: str, files: Path = TINY / "qwen25vl") -> None:
    """Give every hub checkpoint the revision ``commit``, and small files: by default those of the tiny Qwen2.5-VL."""
    plain = Checkpoint.small_files
    monkeypatch.setattr(Checkpoint, "_hub_commit", commit)
    monkeypatch.setattr(Checkpoint, "small_files", lambda self: plain(self) if self.local else files)


def visible(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def only(entries: dict[Tap, Entry]) -> Entry:
    (entry,) = entries.values()
    return entry


def folder_of_pictures(root: Path, sizes: dict[str, tuple[int, int]]) -> ImageFolderConfig:
    for i, (name, size) in enumerate(sizes.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(i).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
    return ImageFolderConfig(name="imagefolder", path=str(root), on_error="raise")
