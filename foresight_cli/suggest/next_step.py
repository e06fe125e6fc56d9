"""What to type after a stage: the other model over the same data, the analysis of both, or the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from foresight_cli.catalog import complete_entries
from foresight_cli.config import GROUPS, ExtractConfig, PrecomputedDataConfig
from foresight_cli.config_groups import as_override
from foresight_cli.data import open_dataset
from foresight_cli.data.subset import ONLY
from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry
from foresight_cli.latents.recipe import canonical_json
from foresight_cli.latents.remote import cache_root
from foresight_cli.latents.samples import read_samples
from foresight_cli.models import open_model
from foresight_cli.sample_size import LEAST_GROUPS
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
from foresight_cli.text_settings import shell_line

CONTROLS = ("pixels", "histogram", "random_network")
"""Made by analyze for itself: no side of a bridge that a user has in mind."""
KINDS = {"ltxv": "autoencoder", "autoencoder": "autoencoder", "precomputed": "file"}
"""Of models that are no encoders."""
PARTNERS = {
    "encoder": ("autoencoder", "file", "encoder"),
    "autoencoder": ("encoder", "file", "autoencoder"),
    "file": ("encoder", "autoencoder", "file"),
}
"""Which kind of model to look for beside one, the likeliest first."""
SOURCE_FIRST = ("encoder", "file", "autoencoder")
"""Of a bridge between two kinds, the earlier is the source; between two of one kind, what was extracted earlier."""
LEAST_TO_CHOOSE = 28
"""Independent samples that leave `LEAST_GROUPS` after 30 % are set aside for choosing among layers and poolings."""


def after_extract(config: ExtractConfig, entries: Sequence[Entry]) -> str:
    """The next command; a sentence where it would need what only the user knows, as the other model's folder.

    Args:
        config: what was extracted.
        entries: that came of it.
    """
    own, settings = entries[0], asdict(config.model)
    cached = [e for e in complete_entries(cache_root(config.cache_dir), quiet=True) if ONLY not in e.recipe.data]
    if own.recipe.model["name"] in CONTROLS:
        return "extract a model on the same data. analyze measures this one by itself, as a control"
    if "init" in own.recipe.model:  # a control too, of the network as it was trained
        trained = _trained_twin(own, cached)
        if trained is None:
            return "the same command without model.init=random. These are its control, which analyze then finds"
        own, settings = trained, {**settings, "init": "pretrained", "init_seed": 0}
    found = _partner(own, cached)
    if found is None:
        return _extract_other(config, own)
    partner, others = found
    settings = _without_needless_dtype(settings, own, cached)
    if config.data.name == "precomputed" and read_samples(own.path) != read_samples(partner.path):
        return _extract_on(config, (settings_of(partner) or ({}, {}))[1])
    least = _least_groups(own, partner, cached)
    if _groups(own) < least:
        return f"the same with more samples: analyze needs {least} independent ones at least"
    source, target = (others, settings) if _order(partner) <= _order(own) else (settings, others)
    data: Settings | None = asdict(config.data)
    if _is_default(config):
        data = _data_of_both(own, partner, cached) or (None if _only_data(own, partner, cached) else data)
    device = [as_override("device", config.device)] if config.device != "auto" else []
    return analyze_command(source, target, data, config.cache_dir, device)


def report_command(folder: Path, stage: str, outputs: str = "outputs") -> str:
    """``foresight report`` for what a run wrote into ``folder``, which is named where it would not be found.

    Args:
        folder: of a run, or of the jobs of a sweep.
        stage: that wrote it.
        outputs: where reports look by themselves.
    """
    if folder.absolute().is_relative_to(Path(outputs, stage).absolute()):
        return "foresight report"
    where = shown_path(str(folder.absolute()))
    several = (folder / "multirun.yaml").is_file()
    return shell_line(["foresight", "report", as_override("runs", [where]) if several else as_override("run", where)])


def _extract_on(config: ExtractConfig, data: Settings) -> str:
    """The extraction of ``config`` again, with the samples, labels and groups that another file lists."""
    model = asdict(config.model)
    words = [*model_words(model, "hub"), *data_words(data, model)]
    words += (
        [] if config.poolings == ("channel_mean",) else ["pooling=all" if len(config.poolings) > 1 else "pooling=flat"]
    )
    same = {key: getattr(config, key) for key in ("cache_dir", "rows_per_shard")}
    return shell_line(["foresight", "extract", *words, *stage_words("extract", **same)])


def _kind(entry: Entry) -> str:
    return KINDS.get(str(entry.recipe.model["name"]), "encoder")


def _order(entry: Entry) -> int:
    return SOURCE_FIRST.index(_kind(entry))


def _partner(own: Entry, cached: Sequence[Entry]) -> tuple[Entry, Settings] | None:
    """The likeliest other side of a bridge from or to ``own`` on the same data, with its model's settings."""
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
    """``settings`` of ``entry`` without its dtype, where the cache holds the same model in no other: auto finds it."""
    if "dtype" not in settings:
        return settings
    dtypes = {other.recipe.model.get("dtype") for other in cached if _checkpoint(other) == _checkpoint(entry)}
    return {**settings, "dtype": "auto" if len(dtypes) == 1 else entry.recipe.model["dtype"]}


def _checkpoint(entry: Entry) -> tuple[object, ...]:
    """What tells models apart, whatever settings they were run with."""
    model = entry.recipe.model
    return tuple(model.get(key) for key in ("name", "checkpoint", "sha256", "revision"))


def _made_at(entry: Entry) -> float:
    try:
        return (entry.path / "manifest.json").stat().st_mtime
    except OSError:  # a store that tells no times
        return 0.0


def _lead_to(entry: Entry, settings: Settings) -> bool:
    """Whether a command with these settings of the model would find ``entry``: its files are there, and unchanged."""
    try:
        model = open_model(GROUPS["model"][settings["name"]](**settings))
        made = {**model.recipe(entry.recipe.layer), **model.identity(reach_hub=False)}
    except (ForesightError, TypeError, KeyError, OSError):
        return False
    return all(entry.recipe.model.get(key) == value for key, value in made.items())


def _trained_twin(own: Entry, cached: Sequence[Entry]) -> Entry | None:
    """The entry of the network that ``own`` is the untrained control of."""
    left_out = ("init", "init_seed", "sha256")  # of local files, the hash of a trained network is over the weights too

    def rest(entry: Entry) -> dict[str, object]:
        return {key: value for key, value in entry.recipe.model.items() if key not in left_out}

    data = canonical_json(own.recipe.data)
    return next(
        (e for e in cached if "init" not in e.recipe.model and rest(e) == rest(own)
         and canonical_json(e.recipe.data) == data), None)  # fmt: skip


def _groups(entry: Entry) -> int:
    """Independent samples at most: groups with a sample that was not left out."""
    table = read_samples(entry.path)
    skipped = {str(pair[0]) for pair in entry.manifest()["skipped"]}
    return len({group for sample, group in zip(table.ids, table.groups, strict=True) if sample not in skipped})


def _least_groups(own: Entry, partner: Entry, cached: Sequence[Entry]) -> int:
    """How many independent samples the analysis of two models needs."""
    data = canonical_json(own.recipe.data)
    on_data = [entry for entry in cached if canonical_json(entry.recipe.data) == data]
    counts = [sum(_checkpoint(entry) == _checkpoint(one) for entry in on_data) for one in (own, partner)]
    return LEAST_GROUPS if max(counts) == 1 else LEAST_TO_CHOOSE


def _only_data(own: Entry, partner: Entry, cached: Sequence[Entry]) -> bool:
    """Whether the two models are cached on no other data, so that analyze needs not be told."""
    names = {own.recipe.model["name"], partner.recipe.model["name"]}
    return len({canonical_json(e.recipe.data) for e in cached if e.recipe.model["name"] in names}) == 1


def _data_of_both(own: Entry, partner: Entry, cached: Sequence[Entry]) -> Settings | None:
    """The user's data on which the same two models are cached: drawn shapes are then its companion set, no more."""
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
    """Whether the dataset of ``settings`` is there, and is the one that was extracted."""
    try:
        dataset = open_dataset(GROUPS["data"][settings["name"]](**settings))
        return canonical_json(dataset.identity()) == canonical_json(identity)
    except (ForesightError, TypeError, KeyError, OSError):
        return False


def _is_default(config: ExtractConfig) -> bool:
    return config.data.name == "shapes" and asdict(config.data) == data_defaults("shapes")


def _extract_other(config: ExtractConfig, own: Entry) -> str:
    """The command for the other of the two models that foresight was made for, or words where it may be any."""
    name, checkpoint = str(own.recipe.model["name"]), str(own.recipe.model.get("checkpoint", "local"))
    if isinstance(config.data, PrecomputedDataConfig):
        path = as_override("data.path", shown_path(config.data.path))
        words = ["data=precomputed", path, *stage_words("extract", cache_dir=config.cache_dir)]
        return f"extract the other file's rows of the same ids, with {shell_line(words)}"
    if checkpoint == "local":  # the hub may be out of reach
        place = stage_words("extract", cache_dir=config.cache_dir)
        beside = f" (and {shell_line(place)})" if place else ""
        return f"extract the other model on the same data{beside}, then analyze both"
    other = "qwen25vl" if KINDS.get(name) == "autoencoder" else "ltxv"
    words = [f"model={other}", *(["layer=all"] if other == "qwen25vl" else []), "pooling=all"]
    words += [] if _is_default(config) else data_words(asdict(config.data))
    words += weights_words("tiny" if checkpoint.startswith("tiny:") else "hub")
    same = {key: getattr(config, key) for key in ("cache_dir", "device", "rows_per_shard")}
    return shell_line(["foresight", "extract", *words, *stage_words("extract", **same)])
