"""Datasets, by the names of ``conf/data/``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foresight_cli.data.dataset import Dataset, Sample, UndecodableImage

if TYPE_CHECKING:
    from foresight_cli.config import DataConfig

__all__ = ["Dataset", "Sample", "UndecodableImage", "open_dataset"]


def open_dataset(config: DataConfig) -> Dataset:
    """Open the dataset that ``config`` describes: its samples are listed, no picture is read.

    Raises:
        ForesightError: there is no such data.
    """
    from foresight_cli.config import (
        HFConfig,
        ImageFolderConfig,
        PrecomputedDataConfig,
        ShapesConfig,
        WebDatasetConfig,
    )

    if isinstance(config, ShapesConfig):
        from foresight_cli.data.shapes import Shapes

        return Shapes(config.variant, config.per_category, config.seed, config.size)
    if isinstance(config, ImageFolderConfig):
        from foresight_cli.data.imagefolder import ImageFolder

        return ImageFolder(config.path, config.max_pixels)
    if isinstance(config, PrecomputedDataConfig):
        from foresight_cli.data.precomputed import Precomputed

        return Precomputed(config.path, id=config.id, values=config.values)
    if isinstance(config, HFConfig):
        from foresight_cli.data.hf import HFDataset

        return HFDataset(config)
    if isinstance(config, WebDatasetConfig):
        from foresight_cli.data.webdataset import WebDataset

        return WebDataset(config.path, config.image, config.max_pixels)
    from foresight_cli.data.video import Video  # the one kind that is left: VideoConfig

    return Video(config)
