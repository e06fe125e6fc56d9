"""Schemas of ``data=``."""

from __future__ import annotations

from dataclasses import dataclass, field

from foresight_cli.config.checks import at_least, between, one_of
from foresight_cli.errors import UsageError

MAX_PIXELS = 89_478_485
"""Pillow's default limit (256 MB once decoded), against small files that decode to gigabytes."""


def _check_pictures(on_error: str, max_pixels: int) -> None:
    one_of("data.on_error", on_error, ("raise", "skip"))
    at_least("data.max_pixels", max_pixels, 1)


@dataclass(frozen=True)
class ShapesConfig:
    """``data=shapes``."""

    name: str
    variant: str
    per_category: int
    seed: int
    size: int

    def __post_init__(self) -> None:
        one_of("data.variant", self.variant, ("default", "q1"))
        at_least("data.per_category", self.per_category, 1)
        at_least("data.seed", self.seed, 0)
        between("data.size", self.size, 32, 4096)


@dataclass(frozen=True)
class ImageFolderConfig:
    """``data=imagefolder``."""

    name: str
    path: str
    on_error: str
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        _check_pictures(self.on_error, self.max_pixels)


@dataclass(frozen=True)
class VideoConfig:
    """``data=video``."""

    name: str
    path: str
    frames: int
    fps: float
    clips_per_file: int | None
    on_error: str
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        _check_pictures(self.on_error, self.max_pixels)
        between("data.fps", self.fps, 0.01, 240)
        if self.frames < 1 or self.frames % 8 != 1:
            near = max(1, 8 * round((self.frames - 1) / 8) + 1)
            raise UsageError(f"data.frames={self.frames}: it must be 1 + 8k frames, for instance {near}")
        if self.clips_per_file is not None:
            at_least("data.clips_per_file", self.clips_per_file, 1)


@dataclass(frozen=True)
class PrecomputedDataConfig:
    """``data=precomputed``."""

    name: str
    path: str
    # With defaults, because caches from before these keys existed are read too.
    id: str | None = None
    values: str | None = None
    on_error: str = "raise"

    def __post_init__(self) -> None:
        one_of("data.on_error", self.on_error, ("raise", "skip"))


@dataclass(frozen=True)
class HFConfig:
    """``data=hf``."""

    name: str
    path: str
    on_error: str
    split: str = "train"
    config: str | None = None
    revision: str | None = None
    image: str | None = None
    label: str | None = "auto"
    id: str | None = None
    group: str | None = None
    attributes: list[str] = field(default_factory=list)
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        _check_pictures(self.on_error, self.max_pixels)


@dataclass(frozen=True)
class WebDatasetConfig:
    """``data=webdataset``."""

    name: str
    path: str
    on_error: str
    image: str | None = None
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        _check_pictures(self.on_error, self.max_pixels)


DataConfig = ShapesConfig | ImageFolderConfig | VideoConfig | PrecomputedDataConfig | HFConfig | WebDatasetConfig

DATASETS = {
    "shapes": ShapesConfig,
    "imagefolder": ImageFolderConfig,
    "video": VideoConfig,
    "precomputed": PrecomputedDataConfig,
    "hf": HFConfig,
    "webdataset": WebDatasetConfig,
}
"""The schema of each ``data=``."""
