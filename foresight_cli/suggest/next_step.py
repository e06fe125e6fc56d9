"""The command to type after a stage: the other model on the same data, the analysis of both, or the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from foresight_cli.config import GROUPS, ExtractConfig, PrecomputedDataConfig, model_schema
from foresight_cli.config.controls import CONTROL_MODELS
from foresight_cli.config.text_settings import shell_line
from foresight_cli.config.tree import as_override, primary_defaults
from foresight_cli.config.verdict import LEAST_GROUPS
from foresight_cli.data import open_dataset
from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry
from foresight_cli.latents.finding import complete_entries
from foresight_cli.latents.recipe import ONLY, canonical_json
from foresight_cli.latents.samples import read_samples
from foresight_cli.latents.storage.remote import cache_root
from foresight_cli.models import open_model
from foresight_cli.suggest.extract_again import settings_of
from foresight_cli.suggest.pair import analyze_command
from foresight_cli.suggest.words import (
    Settings,
    data_defaults,
    data_words,
    model_words,
    shown_path,
    stage_words,
    weights_words,
)

CONTROLS = {model.name for model in CONTROL_MODELS.values()}
"""Models of the controls, which analyze makes itself: a user does not want them as a side of a bridge."""
PARTNERS = {
    "encoder": ("autoencoder", "file", "encoder"),
    "autoencoder": ("encoder", "file", "autoencoder"),
    "file": ("encoder", "autoencoder", "file"),
}
"""Kinds of model to look for as the other side of each kind, the likeliest first."""
SOURCE_FIRST = ("encoder", "file", "autoencoder")
"""Of two kinds, the earlier in this list is the source; of two models of one kind, the one extracted earlier."""
LEAST_TO_CHOOSE = 28
"""Least independent samples that leave `LEAST_GROUPS` when 30 % are set aside to choose a layer and pooling."""


def after_extract(config: ExtractConfig, entries: Sequence[Entry]) -> str:
    """Return the next command; a sentence if it needs what only the user knows, for example the other model's folder.

    Args:
        config: of the extraction.
        entries: that it made.
    """
    own, settings = entries[0], asdict(config.model)
    cached = [e for e in complete_entries(cache_root(config.cache_dir), quiet=True) if ONLY not in e.recipe.data]
    if own.recipe.model["name"] in CONTROLS:
        return "extract a model on the same data. analyze makes and measures this model itself, as a control"
    if "init" in own.recipe.model:  # also a control, of the trained network
        trained = _trained_twin(own, cached)
        if trained is None:
            return "the same command without model.init=random. These latents are its control; analyze will find them"
        own, settings = trained, {**settings, "init": "pretrained", "init_seed": 0}
    match = _partner(own, cached)
    if match is None:
        return _extract_other(config, own)
    partner, others = match
    settings = _without_needless_dtype(settings, own, cached)
    if config.data.name == "precomputed" and read_samples(own.path) != read_samples(partner.path):
        return _extract_on(config, (settings_of(partner) or ({}, {}))[1])
    least = _least_groups(own, partner, cached)
    if _groups(own) < least:
        return f"the same with more samples: analyze needs at least {least} independent ones"
    source, target = (others, settings) if _order(partner) <= _order(own) else (settings, others)
    data: Settings | None = asdict(config.data)
    if _is_default(config):
        data = _data_of_both(own, partner, cached) or (None if _only_data(own, partner, cached) else data)
    device = [as_override("device", config.device)] if config.device != "auto" else []
    return analyze_command(source, target, data, config.cache_dir, device)


def report_command(folder: Path, stage: str, outputs: str = "outputs") -> str:
    """Return the ``foresight report`` line for the results in ``folder``, which it names if report would not find it.

    Args:
        folder: of a run, or of the jobs of a sweep.
        stage: that wrote it.
        outputs: folder in which report searches by default.
    """
    if folder.absolute().is_relative_to(Path(outputs, stage).absolute()):
        return "foresight report"
    where = shown_path(str(folder.absolute()))
    several = (folder / "multirun.yaml").is_file()
    return shell_line(["foresight", "report", as_override("runs", [where]) if several else as_override("run", where)])


def _extract_on(config: ExtractConfig, data: Settings) -> str:
    """Return the extraction of ``config`` with the samples, labels and groups that another file lists."""
    model = asdict(config.model)
    words = [*model_words(model, "hub"), *data_words(data, model)]
    words += (
        [] if config.poolings == ("channel_mean",) else ["pooling=all" if len(config.poolings) > 1 else "pooling=flat"]
    )
    same = {key: getattr(config, key) for key in ("cache_dir", "rows_per_shard")}
    return shell_line(["foresight", "extract", *words, *stage_words("extract", **same)])


def _kind(entry: Entry) -> str:
    return model_schema(entry.recipe.model["name"]).kind


def _order(entry: Entry) -> int:
    return SOURCE_FIRST.index(_kind(entry))


def _partner(own: Entry, cached: Sequence[Entry]) -> tuple[Entry, Settings] | None:
    """Find the likeliest other side of a bridge from or to ``own`` on the same data, and its model's settings."""
    data, checkpoint = canonical_json(own.recipe.data), _checkpoint(own)
    others = [
        entry
        for entry in cached
        if canonical_json(entry.recipe.data) == data
        and entry.recipe.model["name"] not in CONTROLS
        and "init" not in entry.recipe.model
        and _checkpoint(entry) != checkpoint
    ]
    wanted = PARTNERS[_kind(own)]
    for entry in sorted(others, key=lambda entry: (wanted.index(_kind(entry)), -_made_at(entry))):
        settings = settings_of(entry)
        if settings is not None and _lead_to(entry, settings[0]):
            return entry, _without_needless_dtype(settings[0], entry, others)
    return None


def _without_needless_dtype(settings: Settings, entry: Entry, cached: Sequence[Entry]) -> Settings:
    """Return ``settings`` of ``entry``, with dtype auto if the cache holds the same model in no other dtype."""
    if "dtype" not in settings:
        return settings
    dtypes = {other.recipe.model.get("dtype") for other in cached if _checkpoint(other) == _checkpoint(entry)}
    return {**settings, "dtype": "auto" if len(dtypes) == 1 else entry.recipe.model["dtype"]}


def _checkpoint(entry: Entry) -> tuple[object, ...]:
    """Return the fields that identify a model, whatever settings it was run with."""
    model = entry.recipe.model
    return tuple(model.get(key) for key in ("name", "checkpoint", "sha256", "revision"))


def _made_at(entry: Entry) -> float:
    try:
        return (entry.path / "manifest.json").stat().st_mtime
    except OSError:  # a store without file times
        return 0.0


def _lead_to(entry: Entry, settings: Settings) -> bool:
    """Check whether a command with these model settings would find ``entry``: its files exist, and are unchanged."""
    try:
        model = open_model(GROUPS["model"][settings["name"]](**settings))
        made = {**model.recipe(entry.recipe.layer), **model.identity(reach_hub=False)}
    except (ForesightError, TypeError, KeyError, OSError):
        return False
    return all(entry.recipe.model.get(key) == value for key, value in made.items())


def _trained_twin(own: Entry, cached: Sequence[Entry]) -> Entry | None:
    """Find the entry of the trained network of which ``own`` is the untrained control."""
    left_out = ("init", "init_seed", "sha256")  # of local files, the hash of a trained network is over the weights too

    def rest(entry: Entry) -> dict[str, object]:
        return {key: value for key, value in entry.recipe.model.items() if key not in left_out}

    data = canonical_json(own.recipe.data)
    return next(
        (e for e in cached if "init" not in e.recipe.model and rest(e) == rest(own)
         and canonical_json(e.recipe.data) == data), None)  # fmt: skip


def _groups(entry: Entry) -> int:
    """Count the groups with a sample that was not left out: at most as many samples are independent."""
    table = read_samples(entry.path)
    skipped = {str(pair[0]) for pair in entry.manifest()["skipped"]}
    return len({group for sample, group in zip(table.ids, table.groups, strict=True) if sample not in skipped})


def _least_groups(own: Entry, partner: Entry, cached: Sequence[Entry]) -> int:
    """Return how many independent samples the analysis of two models needs."""
    data = canonical_json(own.recipe.data)
    on_data = [entry for entry in cached if canonical_json(entry.recipe.data) == data]
    counts = [sum(_checkpoint(entry) == _checkpoint(side) for entry in on_data) for side in (own, partner)]
    return LEAST_GROUPS if max(counts) == 1 else LEAST_TO_CHOOSE


def _only_data(own: Entry, partner: Entry, cached: Sequence[Entry]) -> bool:
    """Check whether the two models are cached on no other data, so that analyze needs no ``data=``."""
    names = {own.recipe.model["name"], partner.recipe.model["name"]}
    return len({canonical_json(e.recipe.data) for e in cached if e.recipe.model["name"] in names}) == 1


def _data_of_both(own: Entry, partner: Entry, cached: Sequence[Entry]) -> Settings | None:
    """Find user data on which the same two models are cached: the drawn shapes are then only its companion set."""
    for entry in cached:
        data = entry.recipe.data
        if entry.recipe.model == own.recipe.model and data.get("name") != "shapes":
            on_data = canonical_json(data)
            both = any(
                e.recipe.model == partner.recipe.model and canonical_json(e.recipe.data) == on_data for e in cached
            )
            settings = settings_of(entry) if both else None
            if settings is not None and _is_still(data, settings[1]):
                return settings[1]
    return None


def _is_still(identity: Settings, settings: Settings) -> bool:
    """Check whether the dataset of ``settings`` exists, and is the one that was extracted."""
    try:
        dataset = open_dataset(GROUPS["data"][settings["name"]](**settings))
        return canonical_json(dataset.identity()) == canonical_json(identity)
    except (ForesightError, TypeError, KeyError, OSError):
        return False


def _is_default(config: ExtractConfig) -> bool:
    return config.data.name == "shapes" and asdict(config.data) == data_defaults("shapes")


def _extract_other(config: ExtractConfig, own: Entry) -> str:
    """Return the command for the other model of the default pair, or a sentence if it may be any model."""
    checkpoint = str(own.recipe.model.get("checkpoint", "local"))
    if isinstance(config.data, PrecomputedDataConfig):
        path = as_override("data.path", shown_path(config.data.path))
        words = ["data=precomputed", path, *stage_words("extract", cache_dir=config.cache_dir)]
        return f"extract the other file's rows of the same ids, with {shell_line(words)}"
    if checkpoint == "local":  # the hub may be out of reach
        place = stage_words("extract", cache_dir=config.cache_dir)
        beside = f" (with {shell_line(place)})" if place else ""
        return f"extract the other model on the same data{beside}, then analyze both"
    other = primary_defaults("analyze")[f"model@{'source' if _kind(own) == 'autoencoder' else 'target'}.model"]
    words = [f"model={other}", *(["layer=all"] if model_schema(other).layered else []), "pooling=all"]
    words += [] if _is_default(config) else data_words(asdict(config.data))
    words += weights_words("tiny" if checkpoint.startswith("tiny:") else "hub")
    same = {key: getattr(config, key) for key in ("cache_dir", "device", "rows_per_shard")}
    return shell_line(["foresight", "extract", *words, *stage_words("extract", **same)])
