"""Find one entry of the cache by the names that ``foresight cache ls`` shows."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from foresight_cli.config.tree import cache_line
from foresight_cli.errors import ForesightError
from foresight_cli.latents.labels import told_apart
from foresight_cli.latents.recipe import ONLY, canonical_json
from foresight_cli.latents.storage.remote import cache_root
from foresight_cli.latents.store import Entry, folders

log = logging.getLogger(__name__)

MOST_LISTED = 8
"""Number of entries that an error lists; of the others it gives the count."""
MOST_SETTINGS = 3
"""Number of settings that an error shows to distinguish entries with equal names."""
PRETRAINED = "pretrained"


def find(
    cache_dir: str | Path = "outputs/cache",
    *,
    model: str | None = None,
    layer: str | int | None = None,
    pooling: str | None = None,
    data: str | None = None,
    init: str = PRETRAINED,
    key: str | None = None,
) -> Entry:
    """Return the one complete entry of the cache that matches, to be read with :func:`foresight_cli.latents.load`.

    Latents of untrained networks, and those that ``analyze`` made of some samples for its controls, are passed over
    unless they are asked for.

    Args:
        cache_dir: root of the cache, a folder or an fsspec URL.
        model: its kind or its label, as ``cache ls`` shows them.
        layer: a number, or ``final``.
        pooling: ``channel_mean`` or ``flat``.
        data: the kind of the dataset, as ``imagefolder``.
        init: ``random`` for the untrained networks.
        key: the first digits of the entry's key; nothing is passed over then.

    Returns:
        The entry; of several that differ only in the size of their shards, and so hold the same numbers, the first.

    Raises:
        ForesightError: no entry fits, or several do; the message says how these differ.
    """
    root = cache_root(str(cache_dir))
    entries = sorted(complete_entries(root, quiet=True), key=lambda entry: by_layer(entry.path))
    if not entries:
        raise ForesightError(f"no latents in {root}: run foresight extract first, or give the folder of another cache")
    labels = labels_of([entry.path for entry in entries])
    rows = [_Row(entry, labels.get(entry.path, "")) for entry in entries]
    wanted = {"model": model, "layer": layer, "pooling": pooling, "data": data}
    if key is not None:
        rows = [row for row in rows if row.entry.path.name.startswith(key.lower())]
        if not rows:
            raise ForesightError(
                f"no latents in {root} with a key that begins with {key}. To see them: {cache_line('ls', str(root))}"
            )
        rows = _narrowed(rows, wanted, root)
    else:
        rows = _of_init([row for row in rows if ONLY not in row.entry.recipe.data], wanted, init, root)
    distinct = {canonical_json(row.numbers): row for row in reversed(rows)}
    if len(distinct) > 1:
        raise ForesightError(_several(list(reversed(distinct.values()))))
    return rows[0].entry


def complete_entries(root: Path, *, quiet: bool = False) -> Iterator[Entry]:
    """Yield the complete entries under ``root``, without those whose recipe cannot be read (other version, damage).

    Each unreadable one is named in a warning, unless ``quiet``, for a second search in one run.
    """
    for folder in folders(root):
        try:
            entry = Entry.open(folder)
        except ForesightError as error:
            if not quiet:
                log.warning("warning: skipped: %s", error)
            continue
        if entry.complete:
            yield entry


def by_layer(folder: Path) -> tuple[str, bool, int, str, str]:
    """Return the sort key of a listing: by model, then layers by number, the final one last."""
    model, layer, pooling, key = folder.parts[-4:]
    number = layer.removeprefix("layer-")
    return model, not number.isdecimal(), int(number) if number.isdecimal() else 0, pooling, key


def labels_of(listed: Sequence[Path]) -> dict[Path, str]:
    """Return the label of each entry's model, by the entry's folder; equal labels of two models are extended."""
    settings: dict[Path, dict[str, Any]] = {}
    for folder in listed:
        with suppress(ForesightError):
            entry = Entry.open(folder)
            model = {key: value for key, value in entry.recipe.model.items() if value != "local"}
            if entry.complete:
                provenance = entry.manifest()["provenance"]
                model = {**provenance.get("model", model), "label": provenance.get("label")}
            settings[folder] = model
    kinds = {canonical_json(model): model for model in settings.values()}
    labels = dict(zip(kinds, told_apart(list(kinds.values())), strict=True))
    return {folder: labels[canonical_json(model)] for folder, model in settings.items()}


class _Row:
    """An entry by the columns of ``cache ls``."""

    def __init__(self, entry: Entry, label: str) -> None:
        recipe = entry.recipe
        self.entry, self.label = entry, label
        self.columns = {
            "model": str(recipe.model["name"]),
            "layer": recipe.layer,
            "pooling": recipe.pooling,
            "data": str(recipe.data.get("name")),
        }
        self.init = str(recipe.model.get("init", PRETRAINED))

    @property
    def numbers(self) -> dict[str, Any]:
        """The parts of the recipe that its numbers depend on."""
        return {name: value for name, value in self.entry.recipe.to_dict().items() if name != "rows_per_shard"}

    @property
    def path(self) -> str:
        """The folder of its data; "" for data without a folder."""
        return str(self.entry.manifest()["provenance"]["data"].get("path") or "")

    def shown(self, name: str) -> str:
        """Return a column as a user gives it; for a model its label, which distinguishes models of one kind."""
        return (self.label or self.columns[name]) if name == "model" else self.columns[name]


def _of_init(rows: Sequence[_Row], wanted: Mapping[str, Any], init: str, root: Path) -> list[_Row]:
    """Return the matching ``rows``, of either trained or untrained networks.

    Raises:
        ForesightError: there are none; that there are untrained ones, if so.
    """
    try:
        return _narrowed([row for row in rows if row.init == init], wanted, root)
    except ForesightError as error:
        refusal = error
    with suppress(ForesightError):
        others = _narrowed([row for row in rows if row.init != init], wanted, root)
        what = "untrained" if init == PRETRAINED else "trained"
        refusal = ForesightError(f"the latents in {root} that fit are of {what} networks: add init={others[0].init!r}")
    raise refusal


def _narrowed(rows: Sequence[_Row], wanted: Mapping[str, Any], root: Path) -> list[_Row]:
    """Return the ``rows`` that have all wanted values.

    Raises:
        ForesightError: there are none; which values there are.
    """
    fitting = list(rows)
    for name, value in wanted.items():
        if value is None:
            continue
        rows, fitting = fitting, [row for row in fitting if row.columns[name] == str(value)]
        if name == "model":  # a label tells more
            fitting = [row for row in rows if row.label == value] or fitting
        if not fitting:
            values = list(dict.fromkeys(row.shown(name) for row in rows))
            have = ", ".join(values[:MOST_LISTED]) + (", ..." if len(values) > MOST_LISTED else "")
            raise ForesightError(
                f"no latents in {root} with {name}={str(value)!r}; among those that fit so far, {name} is: {have}"
            )
    if not fitting:
        raise ForesightError(f"no latents in {root} that fit. To see what it holds: {cache_line('ls', str(root))}")
    return fitting


def _several(rows: Sequence[_Row]) -> str:
    """Return the error for several matching entries: how they differ, and what to add."""
    names = [name for name in rows[0].columns if len({row.shown(name) for row in rows}) > 1]
    recipes = [{"data.path": row.path, **dict(_flat(row.numbers))} for row in rows]
    keys = [] if names else [key for key in recipes[0] if len({str(recipe.get(key)) for recipe in recipes}) > 1]
    keys = keys[:MOST_SETTINGS]
    listed = []
    for row, recipe in zip(rows, recipes, strict=True):
        words = [f"{name}={row.shown(name)}" for name in names] or [f"{key}={recipe.get(key)}" for key in keys]
        listed.append(f"{' '.join(words)} (key={row.entry.path.name[:8]})")
    shown = "; ".join(listed[:MOST_LISTED])
    shown += f"; and {len(rows) - MOST_LISTED} more" if len(rows) > MOST_LISTED else ""
    add = " or ".join([", ".join(f"{name}=" for name in names), "key="] if names else ["key="])
    return f"{len(rows)} entries fit, say which with {add}: {shown}"


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from _flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item
