"""Control representations of a dataset, extracted and cached like those of any model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from foresight_cli.catalog.reopen import model_settings
from foresight_cli.config import DataConfig, ExtractConfig, LocalConfig, NetworkConfig
from foresight_cli.config.checks import one_of
from foresight_cli.config.controls import CONTROL_MODELS, RANDOM_INIT
from foresight_cli.data import Dataset, open_dataset
from foresight_cli.data.subset import Subset
from foresight_cli.errors import ForesightError
from foresight_cli.extraction.plan import planned
from foresight_cli.extraction.run import extract, extract_together
from foresight_cli.latents import Entry, Latents, load
from foresight_cli.latents.finding import complete_entries
from foresight_cli.latents.reading.rows import load_some
from foresight_cli.latents.recipe import PROMPT, canonical_json
from foresight_cli.latents.samples import write_samples
from foresight_cli.latents.storage.remote import cache_root
from foresight_cli.models import open_model
from foresight_cli.suggest.missing_evidence import has_trained_weights

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


def random_init_of(entry: Entry, cache_dir: str, ids: Sequence[str] | None = None) -> Latents | None:
    """Find the latents of the network of ``entry`` with random weights; None if the cache does not have them.

    They have the same checkpoint (for its shape and settings), layer, pooling and data: only ``model.init`` differs. Of
    several seeds, the smallest is taken. ``random_init_command`` of ``suggest`` returns the command.

    Args:
        entry: a complete entry.
        cache_dir: root of the cache.
        ids: the samples; None for all.
    """
    if not has_trained_weights(entry):
        return None
    made = [other for other in complete_entries(cache_root(cache_dir), quiet=True) if _may_be_of(other, entry)]
    if not made:
        return None
    try:
        wanted = _random_model(entry)
        same = [other for other in made if {**other.recipe.model, "init_seed": None} == wanted]
        if not same:
            _refuse_former_prompt(entry, wanted, made)
            return None
        chosen = min(same, key=lambda other: int(other.recipe.model["init_seed"]))
        return load(chosen) if ids is None else load_some(chosen, ids)
    except ForesightError as error:  # the checkpoint's folder is gone, or a shard is damaged
        log.warning("warning: the control %s is not measured: %s", RANDOM_INIT, error)
        return None


def _refuse_former_prompt(entry: Entry, wanted: dict[str, Any], made: Sequence[Entry]) -> None:
    """Refuse an entry of a former prompt, if its copy has the new one: the command that makes the copy cannot help.

    Raises:
        ForesightError: one of ``made`` differs from ``wanted`` only in that it has keys of the prompt.
    """
    for other in made:
        model = {**other.recipe.model, "init_seed": None}
        further = {key: model[key] for key in PROMPT if key in model and key not in wanted}
        if further and model == {**wanted, **further}:
            raise ForesightError(
                f"an earlier version made {entry.path} with another prompt than {other.path}: extract it again"
            )


def _may_be_of(other: Entry, entry: Entry) -> bool:
    """Check whether ``other`` has random weights, and the model name, layer, pooling and data of ``entry``."""
    wanted, recipe = entry.recipe, other.recipe
    return (
        (recipe.model.get("name"), recipe.layer, recipe.pooling) == (wanted.model["name"], wanted.layer, wanted.pooling)
        and "init" in recipe.model
        and canonical_json(recipe.data) == canonical_json(wanted.data)
    )


def _random_model(entry: Entry) -> dict[str, Any]:
    """Return the ``model`` part of a recipe for the model of ``entry`` with random weights, with ``init_seed`` None.

    For local files the hash is computed again: that of ``entry`` also covers the weights.

    Raises:
        ForesightError: the checkpoint's folder is missing or has changed since.
    """
    trained = model_settings(entry)
    assert isinstance(trained, NetworkConfig)  # as has_trained_weights() has checked
    random, recipe = open_model(replace(trained, init="random")), entry.recipe.model
    of_hub = ("revision", *PROMPT) if "revision" in recipe else ()  # the hub is not reached for a second time
    return {
        **random.recipe(entry.recipe.layer),
        **random.identity(reach_hub=False),
        **{key: recipe[key] for key in of_hub if key in recipe},
        "init_seed": None,
    }
