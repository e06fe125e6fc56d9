"""Which entries of the cache ``source=`` and ``target=`` mean, and the dataset behind them."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from foresight_cli.config import GROUPS, DataConfig, PrecomputedConfig, SpaceConfig
from foresight_cli.config_groups import as_override, changed_settings, conf_dir, config_groups
from foresight_cli.data import Dataset, open_dataset
from foresight_cli.data.subset import ONLY
from foresight_cli.errors import ForesightError
from foresight_cli.labels import labels_of_both
from foresight_cli.latent_file import Undecided
from foresight_cli.latents import Entry
from foresight_cli.latents.recipe import canonical_json
from foresight_cli.latents.remote import cache_root
from foresight_cli.latents.samples import read_samples
from foresight_cli.latents.store import folders
from foresight_cli.models import open_model

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """The cache entries of both sides, all over the same data; layers in the network's order.

    Attributes:
        source: of one side.
        target: of the other.
        labels: what the two models are called.
    """

    source: list[Entry]
    target: list[Entry]
    dataset: Dataset | None = None  # where it was opened to find them
    labels: tuple[str, str] = ("source", "target")

    @property
    def data(self) -> dict[str, Any]:
        """The data's identity, as their recipes have it."""
        return self.source[0].recipe.data

    @property
    def provenance(self) -> dict[str, Any]:
        """The settings that the data was extracted with, its folder among them."""
        said: dict[str, Any] = self.source[0].manifest()["provenance"]["data"]
        return said


def find(cache_dir: str, source: SpaceConfig, target: SpaceConfig, data: DataConfig | None, weights: str) -> Found:
    """The complete cache entries that two spaces mean.

    Args:
        cache_dir: root of the cache.
        source: model, layers and poolings of one side.
        target: of the other.
        data: the dataset, or None for the one that both sides are cached on.
        weights: ``hub`` or ``tiny``, for the advice in messages.

    Raises:
        ForesightError: nothing is cached for a side, or more than one dataset or checkpoint fits; what to type next.
    """
    root = cache_root(cache_dir)
    cached = [entry for entry in complete_entries(root) if ONLY not in entry.recipe.data]  # those are of controls
    dataset = open_dataset(data) if data else None
    place = _place(data, cache_dir)
    for space, side in ((source, "source"), (target, "target")):
        _refuse_absent(cached, space, side, weights, place)
    identity = dataset.identity() if dataset else None
    sides = [
        _matching(cached, space, side, identity, weights, place)
        for space, side in ((source, "source"), (target, "target"))
    ]
    common = _the_users_own(_common_data(*sides))
    if len(common) > 1:
        shown = "; ".join(_data_name(d) for d in common)
        raise ForesightError(f"both models are cached on {len(common)} datasets ({shown}): say which with data=")
    if not common:
        both = isinstance(source.model, PrecomputedConfig) and isinstance(target.model, PrecomputedConfig)
        one = f", as data=precomputed{_path_of(source, 'data')}" if both else ""
        raise ForesightError(
            f"{source.model.name} and {target.model.name} are cached on different data: extract both on the same, "
            f"with the same data= settings{one}"
        )
    on_data = [[e for e in side if canonical_json(e.recipe.data) == canonical_json(common[0])] for side in sides]
    entries = [_one_of_each(side) for side in on_data]
    first, second = (_with_label(space, side[0]) for space, side in zip((source, target), entries, strict=True))
    found = Found(entries[0], entries[1], dataset, labels_of_both(first, second))
    _refuse_two_tables(found)
    return found


def _with_label(space: SpaceConfig, entry: Entry) -> dict[str, Any]:
    """The settings of the model, with the label that it was given now, or when it was extracted."""
    settings = asdict(space.model)
    return {**settings, "label": settings["label"] or entry.manifest()["provenance"].get("label")}


def complete_entries(root: Path, *, quiet: bool = False) -> Iterator[Entry]:
    """The complete entries under ``root``; one whose recipe cannot be read is another version's, or is damaged.

    Each such is named in a warning, unless ``quiet``: for a second look in one run.
    """
    for folder in folders(root):
        try:
            entry = Entry.open(folder)
        except ForesightError as error:
            if not quiet:
                log.warning("warning: passed over: %s", error)
            continue
        if entry.complete:
            yield entry


def reopen(found: Found, data: DataConfig | None) -> tuple[Dataset, DataConfig] | None:
    """The dataset behind the latents, for controls and thumbnails; None, with a warning, if it is gone or changed."""
    if found.data["name"] == "precomputed":
        log.warning("warning: data=precomputed has no pictures: controls are not measured")
        return None
    try:
        config = data or GROUPS["data"][found.provenance["name"]](**found.provenance)
        dataset = found.dataset or open_dataset(config)
        if canonical_json(dataset.identity()) == canonical_json(found.data):
            return dataset, config
        reason = "its pictures have changed since"
    except (ForesightError, KeyError, TypeError) as error:
        reason = str(error)
    log.warning("warning: the pictures behind the latents cannot be read (%s): controls are not measured", reason)
    return None


def _refuse_absent(cached: Sequence[Entry], space: SpaceConfig, side: str, weights: str, place: str) -> None:
    """Stop where nothing of a side's network is cached, before gigabytes of weights or pictures are hashed.

    Raises:
        ForesightError: the checkpoint's folder is none, or nothing of that network is cached.
    """
    checkpoint = getattr(model := open_model(space.model), "checkpoint", None)
    if checkpoint is None or any(entry.recipe.model.get("name") == space.model.name for entry in cached):
        return
    if checkpoint.local is not None:
        model.all_layers()  # a mistyped folder is said first
    raise ForesightError(_nothing(space, side, weights, set(), place))


def _matching(
    cached: Sequence[Entry], space: SpaceConfig, side: str, data: dict[str, Any] | None, weights: str, place: str
) -> list[Entry]:
    model = open_model(space.model)
    try:
        identity = model.identity(reach_hub=getattr(space.model, "revision", None) is not None)
    except Undecided as error:
        raise error.of(f"{side}.model") from None
    name = space.model.name
    fitting = []
    near_misses: set[str] = set()
    for entry in cached:
        recipe = entry.recipe
        if recipe.model.get("name") != name:
            continue
        wanted = {**model.recipe(recipe.layer), **identity}
        named = [*wanted, *(key for key in recipe.model if key in ("init", "init_seed") and key not in wanted)]
        if wanted.get("dtype") == "auto":  # whatever the machine that extracted made of it
            named.remove("dtype")
        differing = [f"{key}={recipe.model.get(key)}" for key in named if recipe.model.get(key) != wanted.get(key)]
        if differing:
            near_misses.add(", ".join(differing))
        elif (space.layers is None or recipe.layer in space.layers) and (
            space.poolings is None or recipe.pooling in space.poolings
        ):
            fitting.append(entry)
    if data is not None:
        fitting = [e for e in fitting if canonical_json(e.recipe.data) == canonical_json(data)]
    if not fitting:
        raise ForesightError(_nothing(space, side, weights, near_misses, place))
    return fitting


def _nothing(space: SpaceConfig, side: str, weights: str, near_misses: set[str], place: str) -> str:
    layers = ",".join(space.layers) if space.layers else "all"
    poolings = ",".join(space.poolings) if space.poolings else "all"
    if near_misses and not isinstance(space.model, PrecomputedConfig):  # another file is no other setting
        shown = min(near_misses)
        hint = " (add weights=tiny?)" if "checkpoint=tiny:" in shown and weights != "tiny" else ""
        return (
            f"{side}={space.model.name}: no cached latents with these settings. The cache has some with {shown}{hint}. "
            f"Give {side}.model.<setting>= as you gave model.<setting>= to extract"
        )
    tiny = " weights=tiny" if weights == "tiny" else ""
    model = f"{space.model.name}{_path_of(space, 'model')}"
    preset = layers == "all" or layers in config_groups()["layer"]
    index = f"[{layers}]" if "," in layers else layers
    layer = f"layer={layers}" if preset else shlex.quote(f"layer.index={index}")
    return (
        f"{side}={space.model.name} layer={layers} pooling={poolings}: no such latents in the cache. "
        f"Type: foresight extract model={model} {layer} pooling={poolings}{tiny}{place}"
    )


def _place(data: DataConfig | None, cache_dir: str) -> str:
    """The words of a command line that say what is extracted, and where to, as far as they are not the defaults."""
    words = []
    if data is not None and data.name != "precomputed":  # whose path stands with the model
        at_first = OmegaConf.to_container(OmegaConf.load(conf_dir() / f"data/{data.name}.yaml"))
        assert isinstance(at_first, dict)
        words += [f"data={data.name}"] * (data.name != "shapes")
        words += changed_settings("data", asdict(data), {str(key): value for key, value in at_first.items()})
    words += [as_override("cache_dir", cache_dir)] * (cache_dir != "outputs/cache")
    return "".join(f" {shlex.quote(word)}" for word in words)


def _path_of(space: SpaceConfig, group: str) -> str:
    """The file of latents that a command line has to name, as a setting of ``group``; "" for other models."""
    if not isinstance(space.model, PrecomputedConfig):
        return ""
    columns = {key: value for key in ("id", "values") if (value := getattr(space.model, key)) is not None}
    named = "".join(f" {shlex.quote(as_override(f'{group}.{key}', value))}" for key, value in columns.items())
    return f" {group}.path={shlex.quote(space.model.path)}{named}"


def _refuse_two_tables(found: Found) -> None:
    """Stop where two files of latents list the same ids, and different labels, groups or attributes for them."""
    first, other = found.source[0], found.target[0]
    paths = [entry.manifest()["provenance"]["data"].get("path") for entry in (first, other)]
    if (
        found.data["name"] == "precomputed"
        and paths[0] != paths[1]
        and read_samples(first.path) != read_samples(other.path)
    ):
        raise ForesightError(
            f"{paths[0]} and {paths[1]} hold different labels, groups or attributes for the same ids. Extract both "
            f"with those of one file: data=precomputed data.path={shlex.quote(paths[0])}"
        )


def _common_data(source: Sequence[Entry], target: Sequence[Entry]) -> list[dict[str, Any]]:
    there = {canonical_json(e.recipe.data) for e in target}
    common = {canonical_json(e.recipe.data): e.recipe.data for e in source}
    return [data for said, data in sorted(common.items()) if said in there]


def _the_users_own(common: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the drawn shapes, if there is other data: then these are the companion set of what is asked about."""
    own = [data for data in common if data.get("name") != "shapes"]
    if own and len(own) < len(common):
        log.info("data=%s; the drawn shapes are its companion set (data=shapes asks about them)", own[0].get("name"))
    return own or common


def _data_name(data: dict[str, Any]) -> str:
    settings = [f"data={data['name']}"]
    settings += [f"data.{k}={v}" for k, v in sorted(data.items()) if k not in ("name", "drawing", "sha256", "count")]
    if "count" in data:
        settings.append(f"of {data['count']} files")
    return " ".join(settings)


def _one_of_each(side: Sequence[Entry]) -> list[Entry]:
    """One entry for each layer and pooling.

    Raises:
        ForesightError: two checkpoints of one model are cached; entries that differ in ``rows_per_shard`` alone hold
            the same numbers, and any will do.
    """
    chosen: dict[tuple[str, str], Entry] = {}
    for entry in side:
        recipe = entry.recipe
        other = chosen.setdefault((recipe.layer, recipe.pooling), entry)
        if other.recipe.model != recipe.model:
            differing = sorted(k for k in recipe.model if recipe.model[k] != other.recipe.model.get(k))
            raise ForesightError(
                f"the cache holds {recipe.model['name']} with two values of {', '.join(differing)}: "
                f"{other.path} and {entry.path}. Move one of them away"
            )

    def order(entry: Entry) -> tuple[bool, int, str]:
        layer = entry.recipe.layer
        return layer == "final", 0 if layer == "final" else int(layer), entry.recipe.pooling

    return sorted(chosen.values(), key=order)
