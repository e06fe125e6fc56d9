"""The control representations of a dataset, extracted and cached as any model's are."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from foresight_cli.catalog import complete_entries
from foresight_cli.config import (
    GROUPS,
    DataConfig,
    ExtractConfig,
    HistogramConfig,
    LocalConfig,
    ModelConfig,
    NetworkConfig,
    PixelsConfig,
    RandomNetworkConfig,
)
from foresight_cli.config.checks import one_of
from foresight_cli.data import Dataset, open_dataset
from foresight_cli.data.subset import Subset
from foresight_cli.errors import ForesightError
from foresight_cli.extract import extract, extract_together
from foresight_cli.extraction.plan import planned
from foresight_cli.latents import Entry, Latents, load
from foresight_cli.latents.recipe import canonical_json
from foresight_cli.latents.remote import cache_root
from foresight_cli.latents.rows import load_some
from foresight_cli.latents.samples import write_samples
from foresight_cli.models import open_model
from foresight_cli.suggest.extract_again import extract_command
from foresight_cli.text_settings import shell_line

log = logging.getLogger(__name__)

CONTROLS: dict[str, ModelConfig] = {
    "pixels": PixelsConfig("pixels", resolution=8),
    "histogram": HistogramConfig("histogram", bins=4),
    "mean_rgb": PixelsConfig("pixels", resolution=1),
    "random_network": RandomNetworkConfig("random_network", resolution=64, seed=0),
}
"""What each control is, by its name in ``controls=`` and in the results; all of pooling ``flat``."""

RANDOM_INIT = "random_init"
"""The name, in the results, of the source itself with weights that were never trained."""


def control_latents(
    names: Sequence[str], data: DataConfig, cache_dir: str, dataset: Dataset | None = None
) -> dict[str, Latents]:
    """The latents of each control, taken from the cache or put there.

    Args:
        names: of the controls.
        data: the pictures.
        cache_dir: root of the cache.
        dataset: ``data`` opened, or a `Subset` of it: then no more pictures are read than are wanted.

    Raises:
        UsageError: a name that is no control's.
    """
    for name in names:
        one_of("controls", name, tuple(CONTROLS))
    dataset = open_dataset(data) if dataset is None else dataset
    configs = {name: _config_of(name, data, cache_dir) for name in names}
    whole = dataset.whole if isinstance(dataset, Subset) else dataset
    lacking = {name: config for name, config in configs.items() if not _entry_of(config, whole).complete}
    with suppress(ForesightError):  # each says below what is wrong with it
        if lacking:
            extract_together(lacking, dataset)
    found = {}
    for name, config in configs.items():
        try:
            found[name] = _latents_of(config, dataset, whole)
        except ForesightError as error:  # a cache that cannot be written: the verdict will say what is missing
            log.warning("warning: the control %s is not measured: %s", name, error)
    return found


def _config_of(name: str, data: DataConfig, cache_dir: str) -> ExtractConfig:
    return ExtractConfig(
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


def _entry_of(config: ExtractConfig, dataset: Dataset) -> Entry:
    """The place of a control's latents in the cache, whether they are there or not."""
    (recipe,) = planned(config, dataset, open_model(config.model)).values()
    return Entry.at(cache_root(config.cache_dir), recipe)


def _latents_of(config: ExtractConfig, dataset: Dataset, whole: Dataset) -> Latents:
    """A control's latents: out of the entry over the whole dataset where that is in the cache.

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
    """The latents of ``entry``'s own network with random weights, if the cache holds them; else None.

    They are of the same checkpoint's shape and settings, layer, pooling and data: ``model.init`` alone differs. Of
    several seeds, the smallest is taken. :func:`random_init_command` says how to make them.

    Args:
        entry: a complete entry.
        cache_dir: root of the cache.
        ids: the samples; None for all.
    """
    if not _trained(entry):
        return None
    made = [other for other in complete_entries(cache_root(cache_dir), quiet=True) if _may_be_of(other, entry)]
    if not made:
        return None
    try:
        wanted = _random_model(entry)
        same = [other for other in made if {**other.recipe.model, "init_seed": None} == wanted]
        if not same:
            return None
        chosen = min(same, key=lambda other: int(other.recipe.model["init_seed"]))
        return load(chosen) if ids is None else load_some(chosen, ids)
    except ForesightError as error:  # the checkpoint's folder is gone, or a shard is damaged
        log.warning("warning: the control %s is not measured: %s", RANDOM_INIT, error)
        return None


def random_init_command(entry: Entry, cache_dir: str) -> str | None:
    """What to type for :func:`random_init_of` to find latents; None where there are no trained weights to leave out.

    Args:
        entry: a complete entry.
        cache_dir: root of the cache.
    """
    command = extract_command(entry, cache_dir)
    if command is None or not _trained(entry):
        return None
    return shell_line([*shlex.split(command), "model.init=random"])


def _trained(entry: Entry) -> bool:
    """Whether ``entry`` came of a network with weights, and not of random ones."""
    model = entry.recipe.model
    schema = GROUPS["model"].get(str(model.get("name")))
    return schema is not None and issubclass(schema, NetworkConfig) and "init" not in model


def _may_be_of(other: Entry, entry: Entry) -> bool:
    """Whether ``other`` is of a network of ``entry``'s name with random weights, and of its layer, pooling and data."""
    mine, its = entry.recipe, other.recipe
    return (
        (its.model.get("name"), its.layer, its.pooling) == (mine.model["name"], mine.layer, mine.pooling)
        and "init" in its.model
        and canonical_json(its.data) == canonical_json(mine.data)
    )


def _random_model(entry: Entry) -> dict[str, Any]:
    """What a recipe says of ``entry``'s model with random weights, whatever their seed: ``init_seed`` is None.

    Of local files, the hash has to be made anew: the one of ``entry`` is over the weights too.

    Raises:
        ForesightError: the checkpoint's folder is gone, or is another by now.
    """
    said = entry.recipe.model
    schema = GROUPS["model"][said["name"]]
    try:
        settings = entry.manifest()["provenance"]["model"]
        trained, random = (open_model(schema(**{**settings, "init": init})) for init in ("pretrained", "random"))
    except (KeyError, TypeError):
        raise ForesightError(
            f"{entry.path} was made with other settings than there are now: extract it again"
        ) from None
    if any(said.get(key) != value for key, value in trained.identity(reach_hub=False).items()):
        raise ForesightError(f"{settings['checkpoint']} has changed since {entry.path} was made: extract it again")
    revision = {"revision": said["revision"]} if "revision" in said else {}  # of a hub id, which is not asked
    return {
        **random.recipe(entry.recipe.layer),
        **random.identity(reach_hub=False),
        **revision,
        "init_seed": None,
    }
