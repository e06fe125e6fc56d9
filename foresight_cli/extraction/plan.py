"""Plan of an extraction: the recipe of each layer and pooling, and the text that ``dry_run=true`` prints."""

from __future__ import annotations

import logging

from rich.filesize import decimal

from foresight_cli.config import ExtractConfig
from foresight_cli.data import Dataset, open_dataset
from foresight_cli.data.probing import refuse_undecodable, skips_undecodable, undecodable
from foresight_cli.errors import ForesightError
from foresight_cli.extraction.fit import check_fit
from foresight_cli.extraction.precision import with_dtype
from foresight_cli.latent_file import Undecided
from foresight_cli.latents import Entry, Recipe
from foresight_cli.latents.storage.remote import cache_root
from foresight_cli.models import LatentModel, Tap, open_model
from foresight_cli.models.precomputed import Precomputed

log = logging.getLogger(__name__)


def planned(config: ExtractConfig, dataset: Dataset, model: LatentModel) -> dict[Tap, Recipe]:
    """Return the recipe of every layer and pooling in ``config``; nothing is written, and no weight is read.

    Raises:
        ForesightError: the data or the checkpoint cannot be found.
    """
    identity = model.identity(reach_hub=True)
    data = dataset.identity()
    return {
        Tap(layer, pooling): Recipe(
            model={**model.recipe(layer), **identity},
            layer=layer,
            pooling=pooling,
            data=data,
            rows=len(dataset.samples),
            rows_per_shard=config.rows_per_shard,
        )
        for layer in config.layers or model.all_layers()
        for pooling in config.poolings
    }


def open_data(config: ExtractConfig) -> Dataset:
    """Open the dataset of ``config``; if it is the file of the model's latents, errors name the model's settings.

    Raises:
        ForesightError: the data cannot be opened.
    """
    same = getattr(config.model, "path", None) == getattr(config.data, "path", None)
    try:
        return open_dataset(config.data)
    except Undecided as error:
        raise error.of("model" if same else "data") from None
    except ForesightError:
        if same:  # the data is the model's file: raise the error for the setting that was typed
            open_model(config.model).identity(reach_hub=False)
        raise


def opened(config: ExtractConfig, dataset: Dataset | None = None) -> tuple[Dataset, LatentModel]:
    """Open the data and the model, and read neither; check that a file of latents has a row for every sample.

    Args:
        config: the settings.
        dataset: the dataset of ``config.data``, or some of its samples, if it is open already.

    Raises:
        ForesightError: the data or the model cannot be used.
    """
    dataset = open_data(config) if dataset is None else dataset
    model = open_model(config.model)
    if isinstance(model, Precomputed):
        for note in dict.fromkeys([*getattr(dataset, "notes", ()), *model.notes]):
            log.info("%s", note)
        model.check_samples([sample.id for sample in dataset.samples], skip=skips_undecodable(config.data))
    return dataset, model


def described(config: ExtractConfig, dataset: Dataset | None = None) -> str:
    """Describe the plan of ``foresight extract``, one line for each layer and pooling.

    Args:
        config: the settings.
        dataset: the dataset of ``config.data``, if it is open already.

    Raises:
        ForesightError: the data or the checkpoint cannot be used.
    """
    config = with_dtype(config)
    dataset, model = opened(config, dataset)
    model.check_layers(config.layers or ())
    model.check_files(clips=hasattr(config.data, "fps"))
    model.check_weights()
    root = cache_root(config.cache_dir)
    frames = getattr(config.data, "frames", 1)
    lines, shards = [], set[int]()
    for tap, recipe in planned(config, dataset, model).items():
        entry = Entry.at(root, recipe)
        missing = [] if entry.complete else entry.missing()
        shards.update(missing)
        row = model.row_bytes(tap, frames)
        size = f"{decimal(row * recipe.rows)} of latents" if row is not None else "size known once a sample is read"
        have = recipe.shards - len(missing)
        state = "in the cache" if entry.complete else f"{have} of {recipe.shards} shards in the cache"
        lines.append(f"layer={tap.layer} {tap.pooling}: {recipe.rows} rows, {size}, {state} -> {entry.path}")
    rows = sum(len(recipe.slice(number)) for number in shards)
    noun = "shard" if len(shards) == 1 else "shards"
    runs = f"would run on {rows} of {recipe.rows} samples ({len(shards)} {noun}), once for all layers and poolings"
    lines.append(f"{config.model.name} {runs if shards else 'would not run: all is in the cache'}")
    if shards and (memory := check_fit(config, model)):
        lines.append(memory)
    lines += [dataset.left_alone.line] * bool(dataset.left_alone)
    return "\n".join([*lines, *_left_out(config, dataset)] if shards else lines)


def _left_out(config: ExtractConfig, dataset: Dataset) -> list[str]:
    """Return a line on files that cannot be decoded, if there are any.

    Raises:
        ForesightError: there are such files, and ``data.on_error`` is not ``skip``.
    """
    if not skips_undecodable(config.data):
        refuse_undecodable(dataset)
        return []
    faults = undecodable(dataset)
    if not faults:
        return []
    files = "1 file" if len(faults) == 1 else f"{len(faults)} files"
    return [f"{files} would be left out, for instance {faults[0].sample_id!r}: {faults[0].reason}"]
