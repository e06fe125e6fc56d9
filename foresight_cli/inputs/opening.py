"""Inputs of an analysis, read from the cache: all rows if they fit in memory, else a sample of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from foresight_cli.catalog.find import Found, find
from foresight_cli.catalog.reopen import data_behind
from foresight_cli.config import AnalyzeConfig
from foresight_cli.data import Dataset
from foresight_cli.data.sample_size import refuse_few_groups
from foresight_cli.data.subset import Subset
from foresight_cli.inputs.controls import control_latents
from foresight_cli.inputs.joined import JoinedSpaces
from foresight_cli.inputs.representation import Representation
from foresight_cli.inputs.split import Alike, Rows, choose_rows, draw_rows, find_alike, sketched_labels
from foresight_cli.latents import Entry, Latents, RowReader, join, load
from foresight_cli.latents.left_out import left_out, say_left_out, without
from foresight_cli.latents.reading.loading import refuse_not_finite
from foresight_cli.latents.reading.sketch import Sketch
from foresight_cli.machine.devices import usable_device

log = logging.getLogger(__name__)

SELECT_SHARE = 0.3
"""Share of the groups set aside for choosing among layers and poolings; the estimates use the other groups."""
IN_MEMORY = 1e9
"""Bytes that all latents may take in float64; beyond, only a sample of the rows is read into memory."""


@dataclass(frozen=True)
class Opened:
    """The inputs of an analysis: cache entries, their latents joined by sample id, and the pictures.

    Attributes:
        entries: the cache entries of both sides.
        inputs: their latents.
        dataset: the pictures; None if they are missing.
        group_of: the group of every sample, drawn or not, except samples whose pixels equal those of an earlier one.
        left_out: number of the samples with equal pixels.
    """

    entries: Found
    joined: JoinedSpaces
    dataset: Dataset | None
    group_of: Mapping[str, str]
    left_out: int


@dataclass(frozen=True)
class _Read:
    """Latents of every entry and of the controls on the same rows, and a table of all rows if only some were read."""

    latents: Sequence[Latents]
    controls: Mapping[str, Latents]
    all_rows: tuple[Latents, Alike] | None = None  # None if all rows were read
    order: Sequence[str] = ()  # of the groups, if rows were drawn


def open_inputs(config: AnalyzeConfig, entries: Found | None = None) -> Opened:
    """Find, read and join the spaces that ``config`` names.

    Args:
        config: the settings.
        entries: the cache entries for these settings, if they have been looked up already.

    Raises:
        ForesightError: nothing is cached for a side, there are too few groups, a shard is damaged, or the spaces hold
            different samples.
    """
    device = usable_device(config.device)
    if entries is None:
        entries = find(config.cache_dir, config.source, config.target, config.data)
    for line in entries.older:
        log.warning("warning: %s", line)
    refuse_few_groups(entries.source[0], entries.target[0])
    opened = data_behind(entries, config.data)
    both = [*entries.source, *entries.target]

    def controls_of(ids: Sequence[str] | None) -> dict[str, Latents]:
        if opened is None:
            return {}
        whole = ids is None or len(ids) == len(opened[0].samples)
        pictures = opened[0] if whole or ids is None else Subset(opened[0], ids)
        return control_latents(config.controls, opened[1], config.cache_dir, pictures)

    lacking = left_out(entries.source, entries.target)
    say_left_out(entries.source, entries.target)
    if sum(_bytes(entry) for entry in both) > IN_MEMORY:
        read = _drawn([entries.source, entries.target], config, controls_of, lacking)
    else:
        controls = controls_of(None)
        joined = join(*(without(latents, lacking) for latents in (*map(load, both), *controls.values())))
        read = _Read(joined[: len(both)], dict(zip(controls, joined[len(both) :], strict=True)))
    sources, targets = read.latents[: len(entries.source)], read.latents[len(entries.source) :]
    rows = choose_rows(
        [sources, targets, *([[read.controls["pixels"]]] if "pixels" in read.controls else [])],
        max_rows=config.max_rows,
        select_share=SELECT_SHARE if len(entries.source) * len(entries.target) > 1 else 0.0,
        seed=config.seed,
        skipped=list(lacking.items()),
        order=read.order,
    )
    x, y = (
        [
            Representation.of(side, label, entry, values, device)
            for entry, values in zip(of_side, latents_of, strict=True)
        ]
        for side, label, of_side, latents_of in zip(
            ("source", "target"), entries.labels, (entries.source, entries.target), (sources, targets), strict=True
        )
    )
    table = read.latents[0]
    whole, alike = read.all_rows or (table, rows.alike)
    root = dict(
        zip(table.groups, rows.groups, strict=True)
    )  # the pictures of the drawn rows may have merged more groups
    group_of = {whole.ids[i]: root.get(alike.groups[i], alike.groups[i]) for i in alike.first}
    if read.all_rows is not None:
        near = {whole.ids[i] for i in alike.near} | {table.ids[i] for i in rows.alike.near}
        rows = _among_all(rows, alike, near=len(near), groups=len(set(group_of.values())))
    spaces = {name: latents.values for name, latents in read.controls.items()}
    equal = rows.duplicates.exact
    return Opened(entries, JoinedSpaces(x, y, spaces, table, rows), opened[0] if opened else None, group_of, equal)


def _bytes(entry: Entry) -> float:
    """Return the size of the latents of ``entry`` in float64, from their files: most files have 2 bytes per value."""
    return 4.0 * sum(int(row["bytes"]) for row in entry.manifest()["shards"])


def _drawn(
    sides: Sequence[Sequence[Entry]],
    config: AnalyzeConfig,
    controls_of: Callable[[Sequence[str]], dict[str, Latents]],
    lacking: Mapping[str, str],
) -> _Read:
    """Draw rows and read only these from the disk; the bytes of every shard are checked all the same."""
    read = [
        [_reader(side, entry) for entry in entries] for side, entries in zip(("source", "target"), sides, strict=True)
    ]
    readers = [reader for side in read for reader, _ in side]
    table = join(*(without(reader.latents, lacking) for reader in readers))[0]
    labels = [[near[reader.places(table.ids)] for reader, near in side] for side in read]
    alike = find_alike(table, labels, list(lacking.items()))
    drawn = draw_rows(alike, max_rows=config.max_rows, seed=config.seed)
    if len(drawn.rows) < len(alike.first):
        log.info("%d samples are more than fit in memory: %d of them are drawn and read", len(table), len(drawn.rows))
    ids = [table.ids[i] for i in drawn.rows]
    latents = [reader.take(reader.places(ids)) for reader in readers]
    controls = controls_of(ids)
    first, *others = join(*latents, *controls.values())
    joined = [replace(first, groups=[alike.groups[i] for i in drawn.rows]), *others]
    return _Read(
        joined[: len(readers)],
        dict(zip(controls, joined[len(readers) :], strict=True)),
        (table, alike),
        drawn.order,
    )


def _reader(side: str, entry: Entry) -> tuple[RowReader, np.ndarray]:
    """Return a reader of the rows of ``entry`` on the disk, and a label per row, equal for near-duplicates.

    Raises:
        ForesightError: latents are not finite.
    """
    sketch = Sketch(entry.recipe.rows)
    reader = RowReader(entry, sketch.add)
    refuse_not_finite(side, entry, reader.latents.ids, sketch.bad)
    return reader, sketched_labels(sketch)


def _among_all(rows: Rows, alike: Alike, *, near: int, groups: int) -> Rows:
    """Return ``rows`` with the duplicates among all rows, and those that the pictures of the drawn rows add."""
    duplicates = replace(
        alike.duplicates,
        near=near,
        groups=groups,
        examples=_without_repeats([*alike.duplicates.examples, *rows.duplicates.examples])[:8],
    )
    near_in = [*alike.near_in, *rows.alike.near_in[len(alike.near_in) :]]
    return replace(rows, alike=replace(rows.alike, near_in=near_in, duplicates=duplicates))


def _without_repeats(sets: Sequence[list[str]]) -> list[list[str]]:
    first: dict[frozenset[str], list[str]] = {}
    for ids in sets:
        first.setdefault(frozenset(ids), ids)
    return list(first.values())
