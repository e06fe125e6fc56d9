"""Messages for latents that are not in the cache: the reason, and the command that extracts them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from foresight_cli.config import DataConfig, PrecomputedConfig, SpaceConfig
from foresight_cli.config.text_settings import shell_line
from foresight_cli.config.tree import as_override
from foresight_cli.data import open_dataset
from foresight_cli.data.probing import skips_undecodable
from foresight_cli.data.sample_size import NOUNS
from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry
from foresight_cli.latents.recipe import canonical_json
from foresight_cli.latents.samples import read_samples
from foresight_cli.models.precomputed import Precomputed
from foresight_cli.suggest.extract_again import settings_of
from foresight_cli.suggest.words import (
    PLACES,
    Settings,
    data_defaults,
    data_words,
    layer_words,
    model_words,
    shown_path,
    stage_words,
    weights_for,
    weights_words,
)

NOT_ASKED = ("name", "label", "device_map")
"""Settings of a model that do not change its latents."""

UNKNOWN_DAY = "earlier"
"""Text in place of a day, for an entry whose manifest has no time."""


@dataclass(frozen=True)
class Miss:
    """A side without latents.

    Attributes:
        side: ``source`` or ``target``.
        space: the requested model, layers and poolings.
        same_name: cached entries of a model of that name.
        same_model: those of the same model and settings, on any data, in any layers and poolings.
        former_prompt: entries like those, but made with the prompt of an earlier version.
    """

    side: str
    space: SpaceConfig
    same_name: Sequence[Entry]
    same_model: Sequence[Entry] = ()
    former_prompt: Sequence[Entry] = ()


@dataclass(frozen=True)
class Place:
    """The cache and the data in which the latents were searched.

    Attributes:
        data: settings of the dataset; None for any.
        identity: of that dataset, if it was opened.
        cache_dir: root of the cache.
        others: entries of the other side, whose data may be used.
    """

    data: DataConfig | None
    identity: Mapping[str, Any] | None
    cache_dir: str
    others: Sequence[Entry] = ()


def explain(misses: Sequence[Miss], place: Place) -> str:
    """Return one line for one or both sides: the reason, and the command or setting that helps."""
    reasons, commands, settings = [], [], []
    for miss in misses:
        reason, setting = _reason(miss, place)
        fault = "" if setting else _no_row(miss, place)
        reasons.append(f"{reason}, and {fault}" if fault else reason)
        settings += [setting] if setting else []
        commands += [] if setting or fault else [extract_line(miss, place)]
    absent = "no such latents in the cache"
    if all(reason.endswith(f": {absent}") for reason in reasons):
        reasons = [" and ".join(reason.removesuffix(f": {absent}") for reason in reasons) + f": {absent}"]
    text = "; ".join(dict.fromkeys(reasons))
    text += f". Give {' '.join(dict.fromkeys(settings))}" if settings else ""
    return text + (f". Type: {' && '.join(dict.fromkeys(commands))}" if commands else "")


def _no_row(miss: Miss, place: Place) -> str:
    """Return why a file of latents cannot be extracted on the data: it lacks rows of samples. Empty if it can."""
    if place.data is None or place.data.name == "precomputed":
        return ""
    try:
        ids = [sample.id for sample in open_dataset(place.data).samples]
    except ForesightError:
        return ""  # the extraction itself reports the problem
    return _lacking(miss, ids, skip=skips_undecodable(place.data))


def _lacking(miss: Miss, ids: Sequence[str], *, skip: bool = False) -> str:
    """Do the same for samples with these ``ids``; with ``skip`` some may lack a row, but not all."""
    if not isinstance(miss.space.model, PrecomputedConfig):
        return ""
    try:
        ids_in_file = set(Precomputed(miss.space.model).ids)
    except ForesightError:
        return ""
    lacking = [sample_id for sample_id in ids if sample_id not in ids_in_file]
    if not lacking or (skip and len(lacking) < len(ids)):
        return ""
    path = shown_path(miss.space.model.path)
    return f"{path} has no row for {len(lacking)} of {len(ids)} samples, such as {lacking[0]!r}"


def other_data(source: Miss, target: Miss, cache_dir: str) -> str:
    """Return a line for two models that are cached on no common dataset, with the command for the target."""
    entry, other = source.same_model[0], target.same_model[0]
    on = " or ".join(dict.fromkeys(" ".join(data_of(cached)) for cached in source.same_model))
    instead = " or ".join(dict.fromkeys(" ".join(data_of(cached)) for cached in target.same_model))
    text = f"source={source.space.model.name} is cached on {on}, target={target.space.model.name} on {instead}"
    missing, extracted = (target, entry)
    if entry.recipe.data["name"] == "precomputed" != target.space.model.name:  # a file of latents has no pictures
        missing, extracted = (source, other)
    place = Place(None, None, cache_dir, [extracted])
    if fault := _lacking(missing, read_samples(extracted.path).ids):
        return f"{text}, and {fault}"
    return f"{text}. Type: {extract_line(replace(missing, same_model=()), place)}"


def _reason(miss: Miss, place: Place) -> tuple[str, str | None]:
    """Return why there are no latents, and the settings that would find some; None if only an extraction helps."""
    if miss.same_model:
        return _other_data_or_layers(miss, place), None
    asked = asdict(miss.space.model)
    trained = [entry for entry in miss.same_name if ("init" in entry.recipe.model) == (asked.get("init") == "random")]
    candidates = [(entry, settings[0]) for entry in trained if (settings := settings_of(entry)) is not None]
    nearest = min(candidates, key=lambda values: (len(_differing(asked, values[1])), values[0].path.name), default=None)
    if nearest is None or isinstance(miss.space.model, PrecomputedConfig):
        return _no_latents(miss), None
    differing = _differing(asked, nearest[1])
    if not differing:
        checkpoint = asked.get("checkpoint")
        changed = f"{checkpoint} has changed since it was extracted ({day_of(nearest[0])})"
        return f"{miss.side}={miss.space.model.name}: {changed}", None
    key = f"{miss.side}.model.{differing[0]}"
    asked_for, in_cache = (as_override("", values.get(differing[0]))[1:] for values in (asked, _shown(nearest[1])))
    words = " ".join(_setting_words(miss.side, asked, nearest[1], differing))
    return f"{key}={asked_for} here, the cache has {in_cache}", words


def _setting_words(side: str, asked: Settings, cached: Settings, differing: Sequence[str]) -> list[str]:
    """Return the words for the cached settings: only ``weights=tiny`` if that sets them all."""
    if str(cached.get("checkpoint", "")).startswith("tiny:"):
        dtype = "auto" if asked.get("dtype") == "auto" else cached.get("dtype")
        rest = model_words({**cached, "label": None, "dtype": dtype}, "tiny", side)
        if not [word for word in rest if ".model." in word]:
            return ["weights=tiny"]
    shown = _shown(cached)
    return [shell_line([as_override(f"{side}.model.{key}", shown.get(key))]) for key in differing]


def _differing(asked: Settings, cached: Settings) -> list[str]:
    """Return the settings in which a cached model differs, in the order of the schema."""
    same_file = place_of(cached.get("checkpoint")) == place_of(asked.get("checkpoint"))
    keys = [
        key
        for key in asked
        if key not in NOT_ASKED and asked[key] != cached.get(key) and not (key == "dtype" and asked[key] == "auto")
    ]
    return [key for key in keys if key != "checkpoint" or not same_file]


def _shown(settings: Settings) -> Settings:
    return {key: shown_path(value) if key in PLACES else value for key, value in settings.items()}


def _no_latents(miss: Miss) -> str:
    layers, poolings = miss.space.layers, miss.space.poolings
    asked = f"layer={','.join(layers) if layers else 'all'} pooling={','.join(poolings) if poolings else 'all'}"
    return f"{miss.side}={miss.space.model.name} {asked}: no such latents in the cache"


def _other_data_or_layers(miss: Miss, place: Place) -> str:
    """Return the reason for a model that is cached, but on other data, or in other layers and poolings."""
    name = f"{miss.side}={miss.space.model.name}"
    identity = place.identity
    on_data = miss.same_model
    if identity is not None:
        on_data = [e for e in on_data if canonical_json(e.recipe.data) == canonical_json(dict(identity))]
    if on_data or identity is None or place.data is None:
        return _no_latents(miss)
    asked = asdict(place.data)
    for entry in miss.same_model:
        settings = settings_of(entry)
        if settings is None or settings[1]["name"] != asked["name"] or asked.get("path") is None:
            continue
        if place_of(settings[1].get("path")) == place_of(asked["path"]):
            where, noun = shown_path(asked["path"]), NOUNS.get(asked["name"], "pictures")
            now, then = identity.get("count"), entry.recipe.rows
            if now is not None and now != then:
                return f"{where} has {now:,} {noun}, the cache has {then:,} (extracted {day_of(entry)})"
            return f"the {noun} in {where} have changed since they were extracted ({day_of(entry)})"
    cached = " or ".join(dict.fromkeys(" ".join(data_of(entry)) for entry in miss.same_model))
    asked_words = " ".join(data_words(asked))
    return f"{name} is cached on {cached}, and not on {asked_words}"


def place_of(path: Any) -> str | None:
    """Return the resolved path of a file or folder, and a hub id unchanged."""
    if path is None:
        return None
    whole = Path(str(path)).expanduser()
    return str(whole.resolve()) if whole.exists() else str(path)


def data_of(entry: Entry) -> list[str]:
    """Return the words for the dataset of an entry."""
    settings = settings_of(entry)
    return [f"data={entry.recipe.data.get('name')}"] if settings is None else data_words(settings[1])


def day_of(entry: Entry) -> str:
    """Return the day on which an entry was completed, for example 2026-11-30, or :data:`UNKNOWN_DAY`."""
    try:
        return date.fromtimestamp((entry.path / "manifest.json").stat().st_mtime).isoformat()
    except OSError:
        return UNKNOWN_DAY


def extract_line(miss: Miss, place: Place) -> str:
    """Return the command that extracts what is missing, on the named data or on that of the other side."""
    settings = asdict(miss.space.model)
    weights = weights_for(settings)
    first, *changed = model_words(settings, weights)
    words = [first, *changed, *_layers(miss), *_poolings(miss)]
    words += _on(miss, place, settings)
    words += [*weights_words(weights), *stage_words("extract", cache_dir=place.cache_dir)]
    return shell_line(["foresight", "extract", *words])


def _layers(miss: Miss) -> list[str]:
    layers = miss.space.layers or _cached(miss, "layer")
    return layer_words("layer", list(layers)) if layers else ["layer=all"]


def _poolings(miss: Miss) -> list[str]:
    poolings = miss.space.poolings or _cached(miss, "pooling")
    return [f"pooling={next(iter(poolings))}" if len(poolings) == 1 else "pooling=all"]


def _cached(miss: Miss, field: str) -> list[str]:
    """Return the layers or poolings of the same model that are cached on other data."""
    return list(dict.fromkeys(getattr(entry.recipe, field) for entry in by_depth(miss.same_model)))


def by_depth(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries sorted by layer in the network's order; ``final`` is the last."""

    def depth(entry: Entry) -> tuple[bool, int]:
        layer = entry.recipe.layer
        return not layer.isdecimal(), int(layer) if layer.isdecimal() else 0

    return sorted(entries, key=depth)


def _on(miss: Miss, place: Place, model: Settings) -> list[str]:
    if place.data is not None:
        data = asdict(place.data)
    else:
        others = {canonical_json(entry.recipe.data): entry for entry in [*miss.same_model, *place.others]}
        settings = settings_of(next(iter(others.values()))) if len(others) == 1 else None
        if settings is None:
            return []
        data = settings[1]
    if data["name"] == "precomputed" != model["name"]:
        return []
    return [] if data == data_defaults("shapes") else data_words(data, model)
