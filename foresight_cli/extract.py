"""``foresight extract``: run a model over a dataset, and cache the latents of every layer and pooling asked for."""

from __future__ import annotations

import logging
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from foresight_cli.config import ExtractConfig, ImageFolderConfig
from foresight_cli.config_reader import extract_config
from foresight_cli.data import Dataset, open_dataset
from foresight_cli.devices import usable_device
from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry, Recipe
from foresight_cli.latents.samples import write_samples
from foresight_cli.models import LatentModel, Tap, open_model
from foresight_cli.progress import ShardProgress

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> None:
    """The stage's entry point."""
    config = extract_config(cfg)
    entries = extract(config)
    for tap, entry in entries.items():
        log.info("%s layer=%s %s: %d rows -> %s", config.model.name, *tap, entry.recipe.rows, entry.path)
    if config.weights == "tiny":
        log.info("note: weights=tiny are small checkpoints trained on drawn shapes; they stand in for the real models")


def extract(config: ExtractConfig) -> dict[Tap, Entry]:
    """The complete cache entries that ``config`` asks for, computed where they are not there yet.

    Raises:
        ForesightError: the data, the checkpoint or the cache cannot be used; what is already cached stays.
    """
    dataset = open_dataset(config.data)
    model = open_model(config.model)
    entries = _entries(config, dataset, model)
    todo = {tap: entry for tap, entry in entries.items() if not entry.complete}
    if len(todo) < len(entries):
        log.info("%s: %d of %d already in the cache", config.model.name, len(entries) - len(todo), len(entries))
    if any(entry.missing() for entry in todo.values()):
        _compute(config, todo, dataset, model)
    for entry in todo.values():
        shards = (entry.get(i) for i in range(entry.recipe.shards))
        skipped = [pair for shard in shards for pair in shard.skipped]
        entry.seal(_provenance(config), skipped)
    for entry in entries.values():
        write_samples(entry.path, dataset.samples)
        _report_skipped(config, entry)
    return entries


def _entries(config: ExtractConfig, dataset: Dataset, model: LatentModel) -> dict[Tap, Entry]:
    identity = model.identity(reach_hub=True)
    data = dataset.identity()
    recipes = {}
    for layer in config.layers:
        for pooling in config.poolings:
            recipes[Tap(layer, pooling)] = Recipe(
                model={**model.recipe(layer), **identity},
                layer=layer,
                pooling=pooling,
                data=data,
                rows=len(dataset.samples),
                rows_per_shard=config.rows_per_shard,
            )
    root = Path(config.cache_dir)
    if not all((root / recipe.folder).is_dir() for recipe in recipes.values()):
        model.check_layers(config.layers)  # before a folder is made for a layer that the checkpoint does not have
    return {tap: Entry.create(root, recipe) for tap, recipe in recipes.items()}


def _compute(config: ExtractConfig, todo: dict[Tap, Entry], dataset: Dataset, model: LatentModel) -> None:
    from foresight_cli.runners.local import fill

    model.load(usable_device(config.device))
    recipe = next(iter(todo.values())).recipe
    rows = sum(len(recipe.slice(i)) for i in {i for entry in todo.values() for i in entry.missing()})
    with ShardProgress(config.model.name, rows) as progress:
        fill(
            todo,
            dataset,
            model,
            batch_size=config.batch_size,
            skip_undecodable=isinstance(config.data, ImageFolderConfig) and config.data.on_error == "skip",
            on_shard=progress.advance,
        )


def _provenance(config: ExtractConfig) -> dict[str, Any]:
    """What tells of the run without changing its numbers: no time and no place of work, so that reruns are equal."""
    data = asdict(config.data)
    if isinstance(config.data, ImageFolderConfig):
        data["path"] = str(Path(config.data.path).expanduser().resolve())
    packages = ("foresight-latents", "torch", "transformers", "diffusers", "pillow", "safetensors")
    return {
        "data": data,
        "model": asdict(config.model),
        "batch_size": config.batch_size,
        "device": usable_device(config.device),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }


def _report_skipped(config: ExtractConfig, entry: Entry) -> None:
    skipped = entry.manifest()["skipped"]
    if not skipped:
        return
    if isinstance(config.data, ImageFolderConfig) and config.data.on_error == "raise":
        raise ForesightError(
            f"{len(skipped)} files cannot be decoded, for instance {skipped[0][0]!r}: {skipped[0][1]}. "
            "To leave such files out, add data.on_error=skip"
        )
    log.warning("warning: %d files left out, for instance %r: %s", len(skipped), *skipped[0])
