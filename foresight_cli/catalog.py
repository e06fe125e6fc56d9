"""Which entries of the cache ``source=`` and ``target=`` mean, and the dataset behind them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from foresight_cli.config import GROUPS, DataConfig, SpaceConfig
from foresight_cli.config_groups import as_override
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
from foresight_cli.suggest.cache_miss import Miss, Place, data_of, explain, other_data
from foresight_cli.suggest.extract_again import extract_command
from foresight_cli.suggest.older_data import older_data
from foresight_cli.text_settings import shell_line

log = logging.getLogger(__name__)

UNSAID = ("init", "init_seed", "variant", "subfolder")
"""Parts of a model's recipe that it has only where they are set: an entry with one is not that of a model without."""


@dataclass(frozen=True)
class Found:
    """The cache entries of both sides, all over the same data; layers in the network's order.

    Attributes:
        source: of one side.
        target: of the other.
        labels: what the two models are called.
        older: a line for each side of which more is cached, on an older state of the data alone.
    """

    source: list[Entry]
    target: list[Entry]
    dataset: Dataset | None = None  # where it was opened to find them
    labels: tuple[str, str] = ("source", "target")
    older: tuple[str, ...] = ()

    @property
    def data(self) -> dict[str, Any]:
        """The data's identity, as their recipes have it."""
        return self.source[0].recipe.data

    @property
    def provenance(self) -> dict[str, Any]:
        """The settings that the data was extracted with, its folder among them."""
        said: dict[str, Any] = self.source[0].manifest()["provenance"]["data"]
        return said


def find(cache_dir: str, source: SpaceConfig, target: SpaceConfig, data: DataConfig | None) -> Found:
    """The complete cache entries that two spaces mean.

    Args:
        cache_dir: root of the cache.
        source: model, layers and poolings of one side.
        target: of the other.
        data: the dataset, or None for the one that both sides are cached on.

    Raises:
        ForesightError: nothing is cached for a side, or more than one dataset or checkpoint fits; what to type next.
    """
    root = cache_root(cache_dir)
    cached = [entry for entry in complete_entries(root) if ONLY not in entry.recipe.data]  # those are of controls
    dataset = open_dataset(data) if data else None
    spaces = (("source", source), ("target", target))
    if absent := [miss for side, space in spaces if (miss := _absent(cached, space, side)) is not None]:
        others = [] if len(absent) == 2 else [e for e in cached if e.recipe.model.get("name") in _names(source, target)]
        raise ForesightError(explain(absent, Place(data, None, cache_dir, others)))
    identity = dataset.identity() if dataset else None
    sides = [_matching(cached, space, side) for side, space in spaces]
    fitting = [_as_asked(side.same_model, side.space, identity) for side in sides]
    if misses := [side for side, found in zip(sides, fitting, strict=True) if not found]:
        others = [entry for found in fitting for entry in found]
        raise ForesightError(explain(misses, Place(data, identity, cache_dir, others)))
    common = _the_users_own(_common_data(*fitting))
    if len(common) > 1:
        shown = "; ".join(_data_name(d) for d in common)
        raise ForesightError(
            f"both models are cached on {len(common)} datasets ({shown}). {_choice(fitting[0], common)}"
        )
    if not common:
        raise ForesightError(other_data(sides[0], sides[1], cache_dir))
    on_data = [[e for e in side if canonical_json(e.recipe.data) == canonical_json(common[0])] for side in fitting]
    entries = [_one_of_each(on_side, side.side) for on_side, side in zip(on_data, sides, strict=True)]
    first, second = (_with_label(space, side[0]) for space, side in zip((source, target), entries, strict=True))
    older = [
        line for side, used in zip(sides, entries, strict=True) for line in older_data(side, used, data, cache_dir)
    ]
    found = Found(entries[0], entries[1], dataset, labels_of_both(first, second), tuple(older))
    _refuse_two_tables(found, cache_dir)
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


def _names(*spaces: SpaceConfig) -> set[str]:
    return {space.model.name for space in spaces}


def _absent(cached: Sequence[Entry], space: SpaceConfig, side: str) -> Miss | None:
    """A side of whose network nothing is cached: said before gigabytes of weights or pictures are hashed.

    Raises:
        ForesightError: the checkpoint's folder is none.
    """
    checkpoint = getattr(model := open_model(space.model), "checkpoint", None)
    if checkpoint is None or any(entry.recipe.model.get("name") == space.model.name for entry in cached):
        return None
    if checkpoint.local is not None:
        model.all_layers()  # a mistyped folder is said first
    return Miss(side, space, [])


def _matching(cached: Sequence[Entry], space: SpaceConfig, side: str) -> Miss:
    """The entries of a side's model, whatever their data, layers and poolings."""
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
        named = [*wanted, *(key for key in recipe.model if key in UNSAID and key not in wanted)]
        if wanted.get("dtype") == "auto":  # whatever the machine that extracted made of it
            named.remove("dtype")
        if all(recipe.model.get(key) == wanted.get(key) for key in named):
            same_model.append(entry)
    return Miss(side, space, same_name, same_model)


def _as_asked(entries: Sequence[Entry], space: SpaceConfig, data: dict[str, Any] | None) -> list[Entry]:
    """Those of the layers, poolings and data that were asked for."""
    return [
        entry
        for entry in entries
        if (space.layers is None or entry.recipe.layer in space.layers)
        and (space.poolings is None or entry.recipe.pooling in space.poolings)
        and (data is None or canonical_json(entry.recipe.data) == canonical_json(data))
    ]


def _refuse_two_tables(found: Found, cache_dir: str) -> None:
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
            f"with those of one file. Type: {extract_command(other, cache_dir, first)}"
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


def _choice(entries: Sequence[Entry], common: Sequence[dict[str, Any]]) -> str:
    """What to add so that one of the datasets ``common`` is meant."""
    of = [next(entry for entry in entries if entry.recipe.data == data) for data in common]
    words = list(dict.fromkeys(shell_line(data_of(entry)) for entry in of))
    now = " for its files as they are now" if len(words) == 1 else ""
    return f"Add {' or '.join(words)}{now}"


def _one_of_each(entries: Sequence[Entry], side: str) -> list[Entry]:
    """One entry for each layer and pooling.

    Args:
        entries: that fit what was asked for.
        side: ``source`` or ``target``.

    Raises:
        ForesightError: two checkpoints of one model are cached; entries that differ in ``rows_per_shard`` alone hold
            the same numbers, and any will do.
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
                f"{other.path} and {entry.path}. {_which(side, differing, (other, entry))}"
            )

    def order(entry: Entry) -> tuple[bool, int, str]:
        layer = entry.recipe.layer
        return layer == "final", 0 if layer == "final" else int(layer), entry.recipe.pooling

    return sorted(chosen.values(), key=order)


def _which(side: str, differing: Sequence[str], entries: Sequence[Entry]) -> str:
    """What to add so that one of two ``entries`` is meant."""
    key = differing[0]
    if key not in ("dtype", "revision"):  # the others have a value in every command
        return "Move one of them away"
    words = [shell_line([as_override(f"{side}.model.{key}", entry.recipe.model[key])]) for entry in entries]
    return f"Add {' or '.join(words)}"
