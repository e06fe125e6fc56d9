"""Find the cache entries that ``source=`` and ``target=`` select."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from foresight_cli.config import DataConfig, SpaceConfig
from foresight_cli.config.text_settings import shell_line
from foresight_cli.config.tree import as_override, cache_line
from foresight_cli.data import Dataset, open_dataset
from foresight_cli.errors import ForesightError
from foresight_cli.latent_file import Undecided
from foresight_cli.latents import Entry
from foresight_cli.latents.finding import complete_entries
from foresight_cli.latents.labels import labels_of_both
from foresight_cli.latents.recipe import ONLY, canonical_json
from foresight_cli.latents.samples import read_samples
from foresight_cli.latents.storage.remote import cache_root
from foresight_cli.models import open_model
from foresight_cli.suggest.cache_miss import Miss, Place, data_of, explain, other_data
from foresight_cli.suggest.extract_again import extract_command
from foresight_cli.suggest.former_prompt import former_prompt, of_former_prompt
from foresight_cli.suggest.older_data import older_data

log = logging.getLogger(__name__)

OPTIONAL_KEYS = ("init", "init_seed", "variant", "subfolder")
"""Keys that a model's recipe has only if they are set: a recipe with one and a recipe without differ in model."""


@dataclass(frozen=True)
class Found:
    """The cache entries of both sides, all over the same data; layers in the network's order.

    Attributes:
        source: entries of the source.
        target: entries of the target.
        labels: display names of the two models.
        older: a line for each side that has more latents cached, of an older state of the data or a former prompt.
    """

    source: list[Entry]
    target: list[Entry]
    dataset: Dataset | None = None  # if it was opened to find them
    labels: tuple[str, str] = ("source", "target")
    older: tuple[str, ...] = ()

    @property
    def data(self) -> dict[str, Any]:
        """The identity of the data, from their recipes."""
        return self.source[0].recipe.data

    @property
    def provenance(self) -> dict[str, Any]:
        """The settings that the data was extracted with, including its folder."""
        settings: dict[str, Any] = self.source[0].manifest()["provenance"]["data"]
        return settings


def find(cache_dir: str, source: SpaceConfig, target: SpaceConfig, data: DataConfig | None) -> Found:
    """Find the complete cache entries of two spaces.

    Args:
        cache_dir: root of the cache.
        source: model, layers and poolings of the source.
        target: model, layers and poolings of the target.
        data: the dataset, or None for the one that both sides are cached on.

    Raises:
        ForesightError: nothing is cached for a side, or more than one dataset or checkpoint fits; says what to type.
    """
    root = cache_root(cache_dir)
    cached = [entry for entry in complete_entries(root) if ONLY not in entry.recipe.data]  # subsets belong to controls
    dataset = open_dataset(data) if data else None
    spaces = (("source", source), ("target", target))
    if missing := [miss for side, space in spaces if (miss := _without_entries(cached, space, side)) is not None]:
        others = (
            [] if len(missing) == 2 else [e for e in cached if e.recipe.model.get("name") in _names(source, target)]
        )
        raise ForesightError(explain(missing, Place(data, None, cache_dir, others)))
    identity = dataset.identity() if dataset else None
    sides = [_matching(cached, space, side) for side, space in spaces]
    fitting = [_requested(side.same_model, side.space, identity) for side in sides]
    if misses := [side for side, entries in zip(sides, fitting, strict=True) if not entries]:
        others = [entry for entries in fitting for entry in entries]
        raise ForesightError(explain(misses, Place(data, identity, cache_dir, others)))
    common = _without_companion_set(_common_data(*fitting))
    if len(common) > 1:
        shown = "; ".join(_data_name(d) for d in common)
        raise ForesightError(
            f"both models are cached on {len(common)} datasets ({shown}). {_choice(fitting[0], common)}"
        )
    if not common:
        raise ForesightError(other_data(sides[0], sides[1], cache_dir))
    on_data = [[e for e in side if canonical_json(e.recipe.data) == canonical_json(common[0])] for side in fitting]
    chosen = [_one_of_each(on_side, side.side, cache_dir) for on_side, side in zip(on_data, sides, strict=True)]
    first, second = (_with_label(space, side[0]) for space, side in zip((source, target), chosen, strict=True))
    older = [line for side, used in zip(sides, chosen, strict=True) for line in older_data(side, used, data, cache_dir)]
    for side in sides:
        former = _requested(side.former_prompt, side.space, common[0])
        older += former_prompt(side.side, former, cache_dir)
    result = Found(chosen[0], chosen[1], dataset, labels_of_both(first, second), tuple(older))
    _refuse_two_tables(result, cache_dir)
    return result


def _with_label(space: SpaceConfig, entry: Entry) -> dict[str, Any]:
    """Return the settings of the model, with its label from the command line or else from the extraction."""
    settings = asdict(space.model)
    return {**settings, "label": settings["label"] or entry.manifest()["provenance"].get("label")}


def _names(*spaces: SpaceConfig) -> set[str]:
    return {space.model.name for space in spaces}


def _without_entries(cached: Sequence[Entry], space: SpaceConfig, side: str) -> Miss | None:
    """Return the side if nothing of its network is cached, so that no gigabytes of weights or pictures are hashed.

    Raises:
        ForesightError: the checkpoint's folder does not exist.
    """
    checkpoint = getattr(model := open_model(space.model), "checkpoint", None)
    if checkpoint is None or any(entry.recipe.model.get("name") == space.model.name for entry in cached):
        return None
    if checkpoint.local is not None:
        model.all_layers()  # reports a mistyped folder first
    return Miss(side, space, [])


def _matching(cached: Sequence[Entry], space: SpaceConfig, side: str) -> Miss:
    """Return the entries of a side's model with any data, layer and pooling."""
    model = open_model(space.model)
    try:
        identity = model.identity(reach_hub=getattr(space.model, "revision", None) is not None)
    except Undecided as error:
        raise error.of(f"{side}.model") from None
    same_name = [entry for entry in cached if entry.recipe.model.get("name") == space.model.name]
    same_model = []
    for entry in same_name:
        recipe = entry.recipe
        wanted = {**model.recipe(recipe.layer), **identity}
        named = [*wanted, *(key for key in recipe.model if key in OPTIONAL_KEYS and key not in wanted)]
        if wanted.get("dtype") == "auto":  # any dtype chosen by the machine that extracted
            named.remove("dtype")
        if all(recipe.model.get(key) == wanted.get(key) for key in named):
            same_model.append(entry)
    former = of_former_prompt(same_model)
    return Miss(side, space, same_name, [entry for entry in same_model if entry not in former], former)


def _requested(entries: Sequence[Entry], space: SpaceConfig, data: dict[str, Any] | None) -> list[Entry]:
    """Return the entries with the requested layers, poolings and data."""
    return [
        entry
        for entry in entries
        if (space.layers is None or entry.recipe.layer in space.layers)
        and (space.poolings is None or entry.recipe.pooling in space.poolings)
        and (data is None or canonical_json(entry.recipe.data) == canonical_json(data))
    ]


def _refuse_two_tables(entries: Found, cache_dir: str) -> None:
    """Refuse two files of latents with the same ids but different labels, groups or attributes."""
    first, other = entries.source[0], entries.target[0]
    paths = [entry.manifest()["provenance"]["data"].get("path") for entry in (first, other)]
    if (
        entries.data["name"] == "precomputed"
        and paths[0] != paths[1]
        and read_samples(first.path) != read_samples(other.path)
    ):
        raise ForesightError(
            f"{paths[0]} and {paths[1]} hold different labels, groups or attributes for the same ids. Extract both "
            f"with those of one file. Type: {extract_command(other, cache_dir, first)}"
        )


def _common_data(source: Sequence[Entry], target: Sequence[Entry]) -> list[dict[str, Any]]:
    of_target = {canonical_json(e.recipe.data) for e in target}
    of_source = {canonical_json(e.recipe.data): e.recipe.data for e in source}
    return [data for key, data in sorted(of_source.items()) if key in of_target]


def _without_companion_set(common: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drop the drawn shapes if there is other data: they are then its companion set."""
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


def _choice(entries: Sequence[Entry], common: Sequence[dict[str, Any]]) -> str:
    """Return what to add to the command to select one of the datasets ``common``."""
    examples = [next(entry for entry in entries if entry.recipe.data == data) for data in common]
    words = list(dict.fromkeys(shell_line(data_of(entry)) for entry in examples))
    now = " for its files as they are now" if len(words) == 1 else ""
    return f"Add {' or '.join(words)}{now}"


def _one_of_each(entries: Sequence[Entry], side: str, cache_dir: str) -> list[Entry]:
    """Return one entry for each layer and pooling.

    Entries that differ only in ``rows_per_shard`` hold the same numbers, so any of them is used.

    Args:
        entries: the requested entries.
        side: ``source`` or ``target``.
        cache_dir: root of the cache.

    Raises:
        ForesightError: two checkpoints of one model are cached.
    """
    chosen: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        recipe = entry.recipe
        other = chosen.setdefault((recipe.layer, recipe.pooling), entry)
        if other.recipe.model != recipe.model:
            keys = {**recipe.model, **other.recipe.model}
            differing = sorted(key for key in keys if recipe.model.get(key) != other.recipe.model.get(key))
            raise ForesightError(
                f"the cache holds {recipe.model['name']} with two values of {', '.join(differing)}: "
                f"{other.path} and {entry.path}. {_how_to_choose(side, differing, (other, entry), cache_dir)}"
            )

    def order(entry: Entry) -> tuple[bool, int, str]:
        layer = entry.recipe.layer
        return layer == "final", 0 if layer == "final" else int(layer), entry.recipe.pooling

    return sorted(chosen.values(), key=order)


def _how_to_choose(side: str, differing: Sequence[str], entries: Sequence[Entry], cache_dir: str) -> str:
    """Return what to add to the command to select one of two ``entries``, or the lines that delete one."""
    key = next((key for key in differing if key in ("dtype", "revision")), None)
    if key is None:  # a command always has a value for the other keys
        keys = [as_override("keys", [entry.path.name]) for entry in entries]
        return f"To delete one of them: {' or '.join(cache_line(f'gc --yes {words}', cache_dir) for words in keys)}"
    words = [shell_line([as_override(f"{side}.model.{key}", entry.recipe.model[key])]) for entry in entries]
    return f"Add {' or '.join(words)}"
