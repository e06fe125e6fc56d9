"""What an analysis reads from the cache: in memory where it fits, else the drawn rows alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from foresight_cli.catalog import Found, find, reopen
from foresight_cli.config import AnalyzeConfig
from foresight_cli.control_spaces import control_latents
from foresight_cli.data import Dataset
from foresight_cli.data.subset import Subset
from foresight_cli.devices import usable_device
from foresight_cli.evidence import representation_of
from foresight_cli.experiments.inputs import Inputs
from foresight_cli.experiments.rows import Alike, Rows, choose_rows, draw_rows, find_alike, sketched_labels
from foresight_cli.latents import Entry, Latents, RowReader, join, load
from foresight_cli.latents.left_out import left_out, say_left_out, without
from foresight_cli.latents.loading import refuse_not_finite
from foresight_cli.latents.sketch import Sketch
from foresight_cli.sample_size import refuse_few_groups

log = logging.getLogger(__name__)

SELECT_SHARE = 0.3
"""Groups set aside for choosing among layers and poolings; the estimates are made on the others."""
IN_MEMORY = 1e9
"""Bytes that all latents may take in float64; beyond, only the rows that are drawn are read into memory."""


@dataclass(frozen=True)
class Opened:
    """What is in the cache for the question asked: entries, their latents joined by sample id, and the pictures.

    Attributes:
        found: the entries.
        inputs: their latents.
        dataset: the pictures; None where they are gone.
        group_of: the group of every sample, drawn or not; without those whose pixels equal an earlier one's.
        left_out: how many those are.
    """

    found: Found
    inputs: Inputs
    dataset: Dataset | None
    group_of: Mapping[str, str]
    left_out: int


@dataclass(frozen=True)
class _Read:
    """Latents of every entry and of the controls on the same rows, and what is known of the rows left unread."""

    latents: Sequence[Latents]
    held: Mapping[str, Latents]
    everything: tuple[Latents, Alike] | None = None  # known of all rows; None where all were read
    order: Sequence[str] = ()  # of the groups, where rows were drawn


def open_inputs(config: AnalyzeConfig, found: Found | None = None) -> Opened:
    """Find, read and join what ``config`` analyses.

    Args:
        config: the settings.
        found: the cache entries that they mean, where these have been looked up.

    Raises:
        ForesightError: nothing is cached for a side, there are too few groups, a shard is damaged, or the spaces hold
            different samples.
    """
    device = usable_device(config.device)
    if found is None:
        found = find(config.cache_dir, config.source, config.target, config.data)
    for line in found.older:
        log.warning("warning: %s", line)
    refuse_few_groups(found.source[0], found.target[0])
    opened = reopen(found, config.data)
    entries = [*found.source, *found.target]

    def controls(ids: Sequence[str] | None) -> dict[str, Latents]:
        if opened is None:
            return {}
        whole = ids is None or len(ids) == len(opened[0].samples)
        pictures = opened[0] if whole or ids is None else Subset(opened[0], ids)
        return control_latents(config.controls, opened[1], config.cache_dir, pictures)

    lacking = left_out(found.source, found.target)
    say_left_out(found.source, found.target)
    if sum(_bytes(entry) for entry in entries) > IN_MEMORY:
        read = _drawn([found.source, found.target], config, controls, lacking)
    else:
        held = controls(None)
        joined = join(*(without(latents, lacking) for latents in (*map(load, entries), *held.values())))
        read = _Read(joined[: len(entries)], dict(zip(held, joined[len(entries) :], strict=True)))
    sources, targets = read.latents[: len(found.source)], read.latents[len(found.source) :]
    rows = choose_rows(
        [sources, targets, *([[read.held["pixels"]]] if "pixels" in read.held else [])],
        max_rows=config.max_rows,
        select_share=SELECT_SHARE if len(found.source) * len(found.target) > 1 else 0.0,
        seed=config.seed,
        skipped=list(lacking.items()),
        order=read.order,
    )
    x, y = (
        [
            representation_of(side, label, entry, values, device)
            for entry, values in zip(of_side, latents_of, strict=True)
        ]
        for side, label, of_side, latents_of in zip(
            ("source", "target"), found.labels, (found.source, found.target), (sources, targets), strict=True
        )
    )
    known = read.latents[0]
    all_known, alike = read.everything or (known, rows.alike)
    root = dict(zip(known.groups, rows.groups, strict=True))  # what the drawn rows' pictures merged besides
    group_of = {all_known.ids[i]: root.get(alike.groups[i], alike.groups[i]) for i in alike.first}
    if read.everything is not None:
        near = {all_known.ids[i] for i in alike.near} | {known.ids[i] for i in rows.alike.near}
        rows = _among_all(rows, alike, near=len(near), groups=len(set(group_of.values())))
    spaces = {name: latents.values for name, latents in read.held.items()}
    equal = rows.duplicates.exact
    return Opened(found, Inputs(x, y, spaces, known, rows), opened[0] if opened else None, group_of, equal)


def _bytes(entry: Entry) -> float:
    """What the latents of ``entry`` take in float64, from what their files take; most are kept in two bytes a value."""
    return 4.0 * sum(int(row["bytes"]) for row in entry.manifest()["shards"])


def _drawn(
    sides: Sequence[Sequence[Entry]],
    config: AnalyzeConfig,
    controls: Callable[[Sequence[str]], dict[str, Latents]],
    lacking: Mapping[str, str],
) -> _Read:
    """The rows that ``config`` draws, read from the disk; every shard's bytes are checked all the same."""
    read = [
        [_reader(side, entry) for entry in entries] for side, entries in zip(("source", "target"), sides, strict=True)
    ]
    readers = [reader for side in read for reader, _ in side]
    known = join(*(without(reader.latents, lacking) for reader in readers))[0]
    labels = [[found[reader.places(known.ids)] for reader, found in side] for side in read]
    alike = find_alike(known, labels, list(lacking.items()))
    drawn = draw_rows(alike, max_rows=config.max_rows, seed=config.seed)
    if len(drawn.rows) < len(alike.first):
        log.info("%d samples are more than fit in memory: %d of them are drawn and read", len(known), len(drawn.rows))
    ids = [known.ids[i] for i in drawn.rows]
    latents = [reader.take(reader.places(ids)) for reader in readers]
    held = controls(ids)
    first, *others = join(*latents, *held.values())
    joined = [replace(first, groups=[alike.groups[i] for i in drawn.rows]), *others]
    return _Read(
        joined[: len(readers)],
        dict(zip(held, joined[len(readers) :], strict=True)),
        (known, alike),
        drawn.order,
    )


def _reader(side: str, entry: Entry) -> tuple[RowReader, np.ndarray]:
    """The rows of ``entry`` on the disk, and which are near-duplicates.

    Raises:
        ForesightError: latents are not finite.
    """
    sketch = Sketch(entry.recipe.rows)
    reader = RowReader(entry, sketch.add)
    refuse_not_finite(side, entry, reader.latents.ids, sketch.bad)
    return reader, sketched_labels(sketch)


def _among_all(rows: Rows, alike: Alike, *, near: int, groups: int) -> Rows:
    """``rows`` with the numbers of all, and of what the pictures of those drawn say besides."""
    found = replace(
        alike.duplicates,
        near=near,
        groups=groups,
        examples=_without_repeats([*alike.duplicates.examples, *rows.duplicates.examples])[:8],
    )
    near_in = [*alike.near_in, *rows.alike.near_in[len(alike.near_in) :]]
    return replace(rows, alike=replace(rows.alike, near_in=near_in, duplicates=found))


def _without_repeats(sets: Sequence[list[str]]) -> list[list[str]]:
    first: dict[frozenset[str], list[str]] = {}
    for ids in sets:
        first.setdefault(frozenset(ids), ids)
    return list(first.values())
