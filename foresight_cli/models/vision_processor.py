"""The image processor of an image encoder: which folder of the checkpoint holds it, and its PIL version."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from foresight_cli.config import VisionConfig
from foresight_cli.errors import ForesightError
from foresight_cli.models.checkpoint import Checkpoint
from foresight_cli.models.vision_shape import VisionShape

FILES = ("preprocessor_config.json", "processor_config.json")
BESIDE = ("feature_extractor", "image_processor")
"""Folders of a diffusers pipeline that hold the processor of its image encoder; the encoder is in another folder."""

PIL_VERSIONS = {"DINOv3ViTImageProcessor": "ViTImageProcessorPil"}
"""Processors that transformers has only for torchvision, and a PIL one that does the same.

DINOv3's rescales before it resizes, and ViT's after: PIL rounds to 8 bits after resizing each axis, so the two differ
by about 1 of 255 at most, like the PIL and torchvision versions of any other processor.
"""


def folders_of_processor(config: VisionConfig) -> tuple[str, ...]:
    """Return the folders of the checkpoint, other than its subfolder, that hold the image processor.

    In a local checkpoint only if the subfolder has no processor: the small files in them are part of the cache's key.
    """
    if not config.subfolder:
        return ()
    folder = Path(config.checkpoint).expanduser()
    if not folder.is_dir():
        return BESIDE
    if any((folder / config.subfolder / file).is_file() for file in FILES):
        return ()
    return tuple(name for name in BESIDE if (folder / name / FILES[0]).is_file())[:1]


def read_processor(checkpoint: Checkpoint, shape: VisionShape) -> Any:
    """Read the image processor as ``AutoImageProcessor`` does, with PIL.

    Raises:
        ForesightError: the checkpoint has none, or transformers has no PIL version of it.
    """
    import transformers

    folder = _folder(checkpoint)
    processor = None
    # A class that has only a torchvision version cannot be imported if torchvision is not installed.
    with checkpoint.reading(), suppress(ImportError):
        processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil", trust_remote_code=False)
    if getattr(processor, "backend", None) == "pil":
        return processor
    with checkpoint.reading():
        if name := PIL_VERSIONS.get(_name(folder)):
            return getattr(transformers, name).from_pretrained(folder)
    raise shape.refusal("transformers has no PIL version of its image processor")


def _folder(checkpoint: Checkpoint) -> Path:
    """Return the first folder that holds a processor."""
    root = checkpoint.small_files()
    folders = [root / place for place in (checkpoint.subfolder or "", *checkpoint.beside)]
    for folder in folders:
        if any((folder / file).is_file() for file in FILES):
            return folder
    raise ForesightError(
        f"{checkpoint.name} has no image processor (preprocessor_config.json, or image_processor in "
        "processor_config.json). Copy that file from the checkpoint that it was made from"
    )


def _name(folder: Path) -> str:
    """Return the class that the files name, without the suffix of its torchvision version."""
    settings: dict[str, Any] = {}
    for file in reversed(FILES):
        if (folder / file).is_file():
            content = json.loads((folder / file).read_text(encoding="utf-8"))
            settings |= content.get("image_processor", content)
    return str(settings.get("image_processor_type")).removesuffix("Fast")
