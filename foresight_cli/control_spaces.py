"""The control representations of a dataset, extracted and cached as any model's are."""

from __future__ import annotations

from collections.abc import Sequence

from foresight_cli.config import DataConfig, ExtractConfig, HistogramConfig, ModelConfig, PixelsConfig
from foresight_cli.extract import extract
from foresight_cli.latents import Latents, load

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
            runner="local",
            cache_dir=cache_dir,
            device="cpu",
            batch_size=256,
            rows_per_shard=256,
        )
        (entry,) = extract(config).values()
        found[name] = load(entry)
    return found
