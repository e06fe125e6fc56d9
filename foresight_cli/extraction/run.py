"""Run a model over a dataset, and fill what the cache lacks of the layers and poolings that were asked for."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path

from foresight_cli.config import ExtractConfig, RunnerConfig
from foresight_cli.data import Dataset
from foresight_cli.data.probing import refuse_undecodable, skips_undecodable
from foresight_cli.errors import ForesightError, UnfitSample
from foresight_cli.extraction.fit import check_fit, check_fit_before_hashing
from foresight_cli.extraction.job import Job
from foresight_cli.extraction.left_out import forget_left_out, remember_tried, report_left_out, shards_to_redo
from foresight_cli.extraction.plan import opened, planned
from foresight_cli.extraction.precision import with_dtype
from foresight_cli.extraction.provenance import provenance_of
from foresight_cli.extraction.together import Together
from foresight_cli.latents import Entry
from foresight_cli.latents.label import write_label
from foresight_cli.latents.samples import write_samples
from foresight_cli.latents.storage.lock import Holder, locked
from foresight_cli.latents.storage.remote import cache_root
from foresight_cli.machine.progress import ShardProgress
from foresight_cli.models import LatentModel, Tap, open_model
from foresight_cli.trackers import Tracking

log = logging.getLogger(__name__)


def extract(
    config: ExtractConfig, tracking: Tracking | None = None, dataset: Dataset | None = None, *, probe: bool = True
) -> dict[Tap, Entry]:
    """Return the complete cache entries that ``config`` describes, after computing those that are missing.

    Args:
        config: settings of the extraction.
        tracking: receives the progress after every shard.
        dataset: the dataset of ``config.data`` or a subset of its samples, if it is open already.
        probe: try to decode the data's files before the model is loaded, unless broken ones are to be left out.

    Raises:
        ForesightError: the data, the checkpoint or the cache cannot be used; latents that are cached stay.
    """
    config = with_dtype(config)
    dataset, model = opened(config, dataset)
    root = cache_root(config.cache_dir)
    probe = probe and not skips_undecodable(config.data)
    fresh = not (root / config.model.name).is_dir()  # nothing of this model is cached: check before hashing
    if fresh:
        _check_model(config, model)
        if probe:
            refuse_undecodable(dataset)
    try:
        check_fit_before_hashing(config, model)
        recipes = planned(config, dataset, model)
    except ForesightError:
        _check_model(config, model)  # first report a wrong kind of checkpoint, then missing files
        raise
    if not fresh and not all(Entry.at(root, recipe).complete for recipe in recipes.values()):
        _check_model(config, model)  # before making a folder for a layer that does not exist
    entries = {tap: Entry.create(root, recipe) for tap, recipe in recipes.items()}
    readable: dict[str, bool] = {}
    again = shards_to_redo(entries, dataset, readable)
    todo = {tap: entry for tap, entry in entries.items() if tap in again or not entry.complete}
    if len(todo) < len(entries):
        done = len(entries) - len(todo)
        log.info("%s: %d of %d layers x poolings already in the cache", config.model.name, done, len(entries))
    if todo:
        with locked([entry.path for entry in todo.values()], _log_waiting):
            todo = {
                tap: Entry.create(root, recipes[tap]) for tap in todo
            }  # again: they may be deleted or complete by now
            forget_left_out({tap: todo[tap] for tap in again}, dataset, readable)
            if probe and not fresh:
                refuse_undecodable(dataset)
            _fill({tap: entry for tap, entry in todo.items() if not entry.complete}, config, dataset, model, tracking)
    remember_tried(entries.values(), readable)
    for entry in entries.values():
        write_samples(entry.path, dataset.samples)
        if config.model.label:
            write_label(entry, config.model.label)
    report_left_out(config.data, next(iter(entries.values())))
    return entries


def _check_model(config: ExtractConfig, model: LatentModel) -> None:
    """Check layers, files and weights, so that errors appear before the model is loaded."""
    model.check_layers(config.layers or ())
    model.check_files(clips=hasattr(config.data, "fps"))
    model.check_weights()


def extract_together(configs: Mapping[str, ExtractConfig], dataset: Dataset) -> None:
    """Compute the missing latents of several extractions in one process and one pass: each sample is decoded once.

    The entries hold the same bytes as those of :func:`extract`, and shards committed by a killed run are kept.

    Args:
        configs: extractions by name; their models do not pad, and dataset, shard size and device are the same.
        dataset: the samples.

    Raises:
        ForesightError: the cache cannot be written, or a sample cannot be decoded; committed shards stay.
    """
    from foresight_cli.extraction.runners.local import fill_here

    models = {name: open_model(config.model) for name, config in configs.items()}
    recipes = {
        (name, tap): recipe
        for name, config in configs.items()
        for tap, recipe in planned(config, dataset, models[name]).items()
    }
    first = next(iter(configs.values()))
    root = cache_root(first.cache_dir)
    incomplete = [key for key, recipe in recipes.items() if not Entry.at(root, recipe).complete]
    if len({name for name, _ in incomplete}) < 2:
        return
    entries = {key: Entry.create(root, recipes[key]) for key in incomplete}
    with locked([entry.path for entry in entries.values()], _log_waiting):
        todo = {key: entry for key in incomplete if not (entry := Entry.create(root, recipes[key])).complete}
        if todo:
            joined = {Together.tap(name, tap): entry for (name, tap), entry in todo.items()}
            model = Together({name: models[name] for name in dict.fromkeys(name for name, _ in todo)})
            job = Job(joined, dataset, first.model, first.device, first.batch_size, skips_undecodable(first.data))
            recipe = next(iter(joined.values())).recipe
            missing = {number: len(recipe.slice(number)) for number in job.missing()}
            with ShardProgress("controls", recipe.rows, missing) as progress:
                fill_here(job, model, missing, progress)
        for (name, _), entry in todo.items():
            entry.seal(provenance_of(configs[name], first.device, dataset.left_alone))


def _log_waiting(folder: Path, holder: Holder) -> None:
    log.info("waiting for %s, which is filling %s", holder, folder)


def _fill(
    todo: Mapping[Tap, Entry],
    config: ExtractConfig,
    dataset: Dataset,
    model: LatentModel,
    tracking: Tracking | None,
) -> None:
    """Compute the missing shards of ``todo`` and seal its entries; do nothing if ``todo`` is empty."""
    if not todo:
        return

    check_fit(config, model)
    job = Job(todo, dataset, config.model, config.device, config.batch_size, skips_undecodable(config.data))
    recipe = next(iter(todo.values())).recipe
    missing = {number: len(recipe.slice(number)) for number in job.missing()}
    left = sum(missing.values())
    if 0 < left < recipe.rows:
        log.info("%s: %d of %d samples already in the cache", config.model.name, recipe.rows - left, recipe.rows)
    on_commit = None if tracking is None else partial(_track, tracking)
    with ShardProgress(config.model.name, recipe.rows, missing, on_commit=on_commit) as progress:
        try:
            device = _run(job, model, config.runner, progress)
        except UnfitSample as error:
            if hasattr(config.data, "on_error"):
                raise
            raise ForesightError(error.alone) from None  # drawn shapes cannot be left out
    for entry in todo.values():
        entry.seal(provenance_of(config, device, dataset.left_alone))


def _run(job: Job, model: LatentModel, runner: RunnerConfig, progress: ShardProgress) -> str:
    """Run ``job`` with the chosen runner, and return the device that it ran on."""
    chosen = import_module(f"foresight_cli.extraction.runners.{runner.name}")
    return str(chosen.run(job, model, runner, progress))


def _track(tracking: Tracking, committed: int, speed: float | None) -> None:
    tracking.log("extract", {} if speed is None else {"samples_per_second": speed}, committed, step_name="samples")
