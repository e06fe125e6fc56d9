"""``foresight analyze extract=true``: both models over the data, where the cache does not have them yet."""

from __future__ import annotations

import logging

from foresight_cli.config import POOLINGS, AnalyzeConfig, ExtractConfig
from foresight_cli.data import open_dataset
from foresight_cli.errors import ForesightError
from foresight_cli.extract import extract
from foresight_cli.sample_size import shortage_of

log = logging.getLogger(__name__)

ROWS_PER_SHARD = 256


def extract_missing(config: AnalyzeConfig) -> None:
    """Extract what ``config`` analyses; what is cached is found and left.

    Raises:
        ForesightError: there are too few groups to analyse; and as :func:`foresight_cli.extract.extract` does.
    """
    assert config.data is not None  # its own check
    dataset = open_dataset(config.data)
    if message := shortage_of(dataset.samples, config.data.name):
        raise ForesightError(message)
    if dataset.left_alone:
        log.info("%s", dataset.left_alone.line)
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
                rows_per_shard=ROWS_PER_SHARD,
            ),
            dataset=dataset,
        )
