"""``foresight extract``: run a model over a dataset, and cache the latents of every layer and pooling asked for."""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from foresight_cli.config import ExtractConfig, RayConfig, RunnerConfig
from foresight_cli.config_reader import extract_config
from foresight_cli.data import Dataset
from foresight_cli.data.left_alone import LeftAlone
from foresight_cli.data.probing import refuse_undecodable, skips_undecodable
from foresight_cli.errors import ForesightError, UnfitSample
from foresight_cli.extraction.fit import check_fit, check_fit_before_hashing
from foresight_cli.extraction.job import Job
from foresight_cli.extraction.left_out import forget_left_out, report_left_out, shards_to_redo
from foresight_cli.extraction.plan import described, open_data, opened, planned
from foresight_cli.extraction.precision import with_dtype
from foresight_cli.extraction.together import Together
from foresight_cli.latents import Entry
from foresight_cli.latents.label import write_label
from foresight_cli.latents.lock import Holder, locked
from foresight_cli.latents.remote import cache_root
from foresight_cli.latents.samples import write_samples
from foresight_cli.models import LatentModel, Tap, open_model
from foresight_cli.progress import ShardProgress
from foresight_cli.sample_size import shortage_of
from foresight_cli.suggest.next_step import after_extract
from foresight_cli.trackers import Tracking, open_tracking, settings_of

log = logging.getLogger(__name__)

PACKAGES = (
    "foresight-latents",
    "torch",
    "transformers",
    "diffusers",
    "pillow",
    "safetensors",
    "av",
    "pillow-heif",
    "pyarrow",
)


def run(cfg: DictConfig) -> None:
    """The stage's entry point."""
    config = extract_config(cfg)
    dataset = open_data(config)
    if message := shortage_of(dataset.samples, config.data.name):
        log.warning("warning: %s", message)
    if config.dry_run:
        log.info("%s", described(config, dataset))
        return
    if dataset.left_alone:
        log.info("%s", dataset.left_alone.line)
    folder = Path(HydraConfig.get().runtime.output_dir)
    with open_tracking(config.tracker, "extract", folder, settings_of(config)) as tracking:
        entries = extract(config, tracking, dataset)
    for tap, entry in entries.items():
        skipped = len(entry.manifest()["skipped"])
        rows = f"{entry.recipe.rows - skipped} rows" + (f" ({skipped} left out)" if skipped else "")
        log.info("%s layer=%s %s: %s -> %s", config.model.name, *tap, rows, entry.path)
    log.info("Next: %s", after_extract(config, list(entries.values())))
    if config.weights == "tiny":
        log.info("note: weights=tiny are small checkpoints trained on drawn shapes; they stand in for the real models")


def extract(
    config: ExtractConfig, tracking: Tracking | None = None, dataset: Dataset | None = None, *, probe: bool = True
) -> dict[Tap, Entry]:
    """The complete cache entries that ``config`` asks for, computed where they are not there yet.

    Args:
        config: what to extract.
        tracking: told of every shard.
        dataset: that of ``config.data`` or some of its samples, where it is open already.
        probe: try out the data's files before the model is loaded, unless broken ones are to be left out.

    Raises:
        ForesightError: the data, the checkpoint or the cache cannot be used; what is already cached stays.
    """
    config = with_dtype(config)
    dataset, model = opened(config, dataset)
    root = cache_root(config.cache_dir)
    probe = probe and not skips_undecodable(config.data)
    fresh = not (root / config.model.name).is_dir()  # nothing of it is cached: checks first, then hash what is checked
    if fresh:
        _check_model(config, model)
        if probe:
            refuse_undecodable(dataset)
    try:
        check_fit_before_hashing(config, model)
        recipes = planned(config, dataset, model)
    except ForesightError:
        _check_model(config, model)  # another kind of checkpoint is said before names of files that it has not
        raise
    if not fresh and not all(Entry.at(root, recipe).complete for recipe in recipes.values()):
        _check_model(config, model)  # before a folder is made for a layer that the checkpoint does not have
    entries = {tap: Entry.create(root, recipe) for tap, recipe in recipes.items()}
    readable: dict[str, bool] = {}
    again = shards_to_redo(entries, dataset, readable)
    todo = {tap: entry for tap, entry in entries.items() if tap in again or not entry.complete}
    if len(todo) < len(entries):
        done = len(entries) - len(todo)
        log.info("%s: %d of %d layers x poolings already in the cache", config.model.name, done, len(entries))
    if todo:
        with locked([entry.path for entry in todo.values()], _say_waiting):
            todo = {tap: Entry.create(root, recipes[tap]) for tap in todo}  # again: they may be gone or done by now
            forget_left_out({tap: todo[tap] for tap in again}, dataset, readable)
            if probe and not fresh:
                refuse_undecodable(dataset)
            _fill({tap: entry for tap, entry in todo.items() if not entry.complete}, config, dataset, model, tracking)
    for entry in entries.values():
        write_samples(entry.path, dataset.samples)
        if config.model.label:
            write_label(entry, config.model.label)
    report_left_out(config.data, next(iter(entries.values())))
    return entries


def _check_model(config: ExtractConfig, model: LatentModel) -> None:
    """Refuse what loading the model would refuse; raises as its own checks do."""
    model.check_layers(config.layers or ())
    model.check_files(clips=hasattr(config.data, "fps"))
    model.check_weights()


def extract_together(configs: Mapping[str, ExtractConfig], dataset: Dataset) -> None:
    """Fill what several extractions lack, one process and one pass over the samples for all: each is decoded once.

    The entries hold the same bytes as those of :func:`extract`, and what a killed run has committed is kept.

    Args:
        configs: by a name each, of models that do not pad; over one dataset, in shards of one size, on one device.
        dataset: the samples.

    Raises:
        ForesightError: the cache cannot be written, or a sample cannot be decoded; what is committed stays.
    """
    models = {name: open_model(config.model) for name, config in configs.items()}
    recipes = {
        (name, tap): recipe
        for name, config in configs.items()
        for tap, recipe in planned(config, dataset, models[name]).items()
    }
    first = next(iter(configs.values()))
    root = cache_root(first.cache_dir)
    lacking = [of for of, recipe in recipes.items() if not Entry.at(root, recipe).complete]
    if len({name for name, _ in lacking}) < 2:
        return
    entries = {of: Entry.create(root, recipes[of]) for of in lacking}
    with locked([entry.path for entry in entries.values()], _say_waiting):
        todo = {of: entry for of in lacking if not (entry := Entry.create(root, recipes[of])).complete}
        if todo:
            joined = {Together.tap(name, tap): entry for (name, tap), entry in todo.items()}
            model = Together({name: models[name] for name in dict.fromkeys(name for name, _ in todo)})
            _fill_here(joined, first, dataset, model)
        for (name, _), entry in todo.items():
            entry.seal(_provenance(configs[name], first.device, dataset.left_alone))


def _fill_here(entries: Mapping[Tap, Entry], config: ExtractConfig, dataset: Dataset, model: Together) -> None:
    """Compute the shards that any of ``entries`` lacks, in this process."""
    from foresight_cli.extraction.batching import BatchSize
    from foresight_cli.extraction.filling import fill

    recipe = next(iter(entries.values())).recipe
    left = sorted({number for entry in entries.values() for number in entry.missing()})
    model.load(config.device)
    with ShardProgress("controls", recipe.rows, {number: len(recipe.slice(number)) for number in left}) as progress:
        numbers = iter(left)
        fill(
            entries,
            lambda wait: next(numbers, None),
            dataset,
            model,
            batch_size=BatchSize(config.batch_size, config.device),
            skip_undecodable=skips_undecodable(config.data),
            on_samples=progress.on_samples,
            on_shard=progress.on_shard,
        )


def _say_waiting(folder: Path, holder: Holder) -> None:
    log.info("waiting for %s, which is filling %s", holder, folder)


def _fill(
    todo: Mapping[Tap, Entry],
    config: ExtractConfig,
    dataset: Dataset,
    model: LatentModel,
    tracking: Tracking | None,
) -> None:
    """Compute what ``todo`` lacks, if anything, and seal it."""
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
        entry.seal(_provenance(config, device, dataset.left_alone))


def _run(job: Job, model: LatentModel, runner: RunnerConfig, progress: ShardProgress) -> str:
    """Fill what ``job`` lacks where ``runner=`` says; the device that it ran on."""
    if isinstance(runner, RayConfig):
        from foresight_cli.runners import ray

        return ray.run(job, runner, progress)
    from foresight_cli.runners import local

    return local.run(job, model, runner, progress)


def _track(tracking: Tracking, committed: int, speed: float | None) -> None:
    tracking.log("extract", {} if speed is None else {"samples_per_second": speed}, committed, step_name="samples")


def _provenance(config: ExtractConfig, device: str, left_alone: LeftAlone) -> dict[str, Any]:
    """What tells of the run without changing its numbers: no time and no place of work, so that reruns are equal."""
    data, model = asdict(config.data), asdict(config.model)
    for said, key in ((data, "path"), (model, "path"), (model, "checkpoint")):
        if key not in said:
            continue
        pattern = said["name"] == "precomputed" and not said[key].startswith("{")
        if pattern or Path(said[key]).expanduser().exists():  # no hub id, and no tiny:<model>
            said[key] = str(Path(said[key]).expanduser().resolve())
    label = model.pop("label")  # beside the settings: caches that were made before there were labels stay as they are
    versions = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):  # some are extras
            versions[name] = version(name)
    return {
        "data": data,
        "model": model,
        **({"label": label} if label else {}),
        "batch_size": config.batch_size or "auto",
        "device": device,
        "python": platform.python_version(),
        "versions": versions,
        **({"left_alone": left_alone.as_json()} if left_alone else {}),
    }
