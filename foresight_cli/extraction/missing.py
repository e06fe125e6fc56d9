"""``foresight analyze extract=true``: extract the latents of both models that are not cached yet."""

from __future__ import annotations

import logging

from foresight_cli.config import POOLINGS, AnalyzeConfig, ExtractConfig
from foresight_cli.data import open_dataset
from foresight_cli.data.sample_size import shortage_of
from foresight_cli.errors import ForesightError
from foresight_cli.extraction.run import extract

log = logging.getLogger(__name__)


def extract_missing(config: AnalyzeConfig) -> None:
    """Extract the latents that ``config`` analyses, except those that are cached.

    Raises:
        ForesightError: there are too few groups to analyse, or for the reasons of
            :func:`foresight_cli.extract.extract`.
    """
    assert config.data is not None  # AnalyzeConfig checks this
    dataset = open_dataset(config.data)
    if message := shortage_of(dataset.samples, config.data.name):
        raise ForesightError(message)
    for space in (config.source, config.target):
        extract(
            ExtractConfig(
                model=space.model,
                layers=space.layers,
                poolings=space.poolings or POOLINGS,
                data=config.data,
                runner=config.runner,
                weights=config.weights,
                cache_dir=config.cache_dir,
                device=config.device,
                batch_size=None,
            ),
            dataset=dataset,
        )
    if dataset.left_alone:
        log.info("%s", dataset.left_alone.line)
