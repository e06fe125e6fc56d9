"""Control representations of a dataset, extracted and cached like those of any model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress

from foresight_cli.config import DataConfig, ExtractConfig, LocalConfig
from foresight_cli.config.checks import one_of
from foresight_cli.config.controls import CONTROL_MODELS
from foresight_cli.data import Dataset, open_dataset
from foresight_cli.data.subset import Subset
from foresight_cli.errors import ForesightError
from foresight_cli.extraction.plan import planned
from foresight_cli.extraction.run import extract, extract_together
from foresight_cli.latents import Entry, Latents, load
from foresight_cli.latents.reading.rows import load_some
from foresight_cli.latents.samples import write_samples
from foresight_cli.latents.storage.remote import cache_root
from foresight_cli.models import open_model

log = logging.getLogger(__name__)


def control_latents(
    names: Sequence[str], data: DataConfig, cache_dir: str, dataset: Dataset | None = None
) -> dict[str, Latents]:
    """Return the latents of each control, from the cache; missing ones are extracted first.

    Args:
        names: names of the controls.
        data: settings of the pictures.
        cache_dir: root of the cache.
        dataset: ``data`` opened, or a `Subset` of it: then only the pictures of the subset are read.

    Raises:
        UsageError: a name is not that of a control.
    """
    for name in names:
        one_of("controls", name, tuple(CONTROL_MODELS))
    dataset = open_dataset(data) if dataset is None else dataset
    configs = {name: _config_of(name, data, cache_dir) for name in names}
    whole = dataset.whole if isinstance(dataset, Subset) else dataset
    lacking = {name: config for name, config in configs.items() if not _entry_of(config, whole).complete}
    with suppress(ForesightError):  # the loop below reports each error
        if lacking:
            extract_together(lacking, dataset)
    controls = {}
    for name, config in configs.items():
        try:
            controls[name] = _latents_of(config, dataset, whole)
        except ForesightError as error:  # for example, the cache cannot be written; the verdict reports what is missing
            log.warning("warning: the control %s is not measured: %s", name, error)
    return controls


def _config_of(name: str, data: DataConfig, cache_dir: str) -> ExtractConfig:
    return ExtractConfig(
        model=CONTROL_MODELS[name],
        layers=("final",),
        poolings=("flat",),
        data=data,
        weights="none",
        runner=LocalConfig("local", workers=1),
        cache_dir=cache_dir,
        device="cpu",
        batch_size=256,
    )


def _entry_of(config: ExtractConfig, dataset: Dataset) -> Entry:
    """Return the cache entry of a control's latents, which may not exist yet."""
    (recipe,) = planned(config, dataset, open_model(config.model)).values()
    return Entry.at(cache_root(config.cache_dir), recipe)


def _latents_of(config: ExtractConfig, dataset: Dataset, whole: Dataset) -> Latents:
    """Return a control's latents, from the entry over the whole dataset if that is in the cache.

    Raises:
        ForesightError: the cache cannot be written, or a picture cannot be decoded.
    """
    entry = _entry_of(config, whole)
    if dataset is not whole and entry.complete:
        return load_some(entry, [sample.id for sample in dataset.samples])
    entry = _entry_of(config, dataset)
    if entry.complete:
        write_samples(entry.path, dataset.samples)  # labels may have been corrected since
    else:
        (entry,) = extract(config, dataset=dataset, probe=False).values()
    return load(entry)
