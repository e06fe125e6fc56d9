"""The control representations of a dataset, extracted and cached as any model's are."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from foresight_cli.config import DataConfig, ExtractConfig, HistogramConfig, LocalConfig, ModelConfig, PixelsConfig
from foresight_cli.errors import ForesightError
from foresight_cli.extract import extract
from foresight_cli.latents import Latents, load

log = logging.getLogger(__name__)

CONTROLS: dict[str, ModelConfig] = {
    "pixels": PixelsConfig("pixels", resolution=8),
    "histogram": HistogramConfig("histogram", bins=4),
}


def control_latents(names: Sequence[str], data: DataConfig, cache_dir: str) -> dict[str, Latents]:
    """The latents of each control on ``data``, taken from the cache or put there."""
    found = {}
    for name in names:
        config = ExtractConfig(
            model=CONTROLS[name],
            layers=("final",),
            poolings=("flat",),
            data=data,
            weights="none",
            runner=LocalConfig("local", workers=1),
            cache_dir=cache_dir,
            device="cpu",
            batch_size=256,
            rows_per_shard=256,
        )
        try:
            (entry,) = extract(config).values()
            found[name] = load(entry)
        except ForesightError as error:  # a cache that cannot be written: the verdict will say what is missing
            log.warning("warning: the control %s is not measured: %s", name, error)
    return found
