"""Open the spaces that ``analyze`` or ``adapt`` names: joined by sample id, near-duplicates grouped, rows chosen.

Latents that do not fit in memory stay on the disk: an analysis reads a sample of the rows, an adapter reads rows as it
needs them.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from foresight_cli.catalog.find import Found
from foresight_cli.config import AdaptConfig, AnalyzeConfig
from foresight_cli.data import Dataset
from foresight_cli.inputs.joined import JoinedSpaces
from foresight_cli.inputs.representation import Representation
from foresight_cli.inputs.sides import Sides, in_memory, on_disk
from foresight_cli.inputs.split import Alike, Rows, choose_rows, draw_rows, find_alike, sketched_labels
from foresight_cli.latents import Entry, Latents, RowReader, join
from foresight_cli.latents.left_out import without
from foresight_cli.machine.devices import usable_device
from foresight_cli.results import Duplicates
from foresight_cli.training.pairs import Pairs

log = logging.getLogger(__name__)

SELECT_SHARE = 0.3
"""Share of the groups set aside for choosing among layers and poolings; the estimates use the other groups."""
IN_MEMORY_GB = 1.0
"""Gigabytes that the latents of an analysis may take in float64; ``adapt`` keeps them as stored, and has a setting."""
TO_FLOAT64 = 4
"""Bytes in float64 for each byte in the cache: most files have 2 bytes per value."""


@dataclass(frozen=True)
class Opened:
    """The spaces of an analysis: cache entries, their latents joined by sample id, and the pictures.

    Attributes:
        entries: the cache entries of both sides.
        joined: their latents.
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
class Paired:
    """The data that adapters are trained and scored on.

    Attributes:
        source: cache entry of the source.
        target: cache entry of the target.
        pairs: every pair that is used.
        table: ids, labels and attributes of each pair; its ``values`` are not used.
        groups: group of each pair, near-duplicates merged.
        duplicates: the duplicates that were left out or merged.
        dataset: the pictures; None if they are missing.
        labels: labels of the two models.
    """

    source: Entry
    target: Entry
    pairs: Pairs
    table: Latents
    groups: list[str]
    duplicates: Duplicates
    dataset: Dataset | None
    labels: tuple[str, str]

    @property
    def identity(self) -> dict[str, object]:
        """All that determines the pairs, as JSON values."""
        names = {"ids": self.table.ids, "groups": self.groups}
        hashed = {key: hashlib.sha256("\0".join(values).encode()).hexdigest() for key, values in names.items()}
        return {**hashed, "keys": [self.source.recipe.key, self.target.recipe.key]}


def open_inputs(config: AnalyzeConfig, entries: Found | None = None) -> Opened:
    """Open every space that ``config`` names, with the controls; some groups are set aside if a pair must be chosen.

    Args:
        config: the settings.
        entries: the cache entries for these settings, if they have been looked up already.

    Raises:
        ForesightError: nothing is cached for a side, there are too few groups, a shard is damaged, the spaces hold
            different samples, or a row is not finite.
        UsageError: the cache has two matches for the command line.
    """
    device = usable_device(config.device)
    sides = Sides.of(config, entries)
    members, lacking = sides.members, sides.lacking
    drawn = _draw(sides, config) if TO_FLOAT64 * sides.gigabytes > IN_MEMORY_GB else None
    latents = drawn.latents if drawn else [without(in_memory(side, entry), lacking) for side, _, entry in members]
    controls = sides.controls(config.controls, config.cache_dir, drawn.latents[0].ids if drawn else None)
    table, *others = join(*latents, *(without(control, lacking) for control in controls.values()))
    if drawn:
        table = replace(table, groups=drawn.groups)
    latents, controls = [table, *others][: len(members)], dict(zip(controls, others[len(members) - 1 :], strict=True))
    sources, targets = sides.divide(latents)
    rows = choose_rows(
        [sources, targets, *([[controls["pixels"]]] if "pixels" in controls else [])],
        max_rows=config.max_rows,
        select_share=SELECT_SHARE if len(sources) * len(targets) > 1 else 0.0,
        seed=config.seed,
        skipped=list(lacking.items()),
        order=drawn.order if drawn else (),
    )
    whole, alike = (drawn.table, drawn.alike) if drawn else (table, rows.alike)
    # The pictures of the drawn rows may have merged more groups.
    root = dict(zip(table.groups, rows.groups, strict=True))
    group_of = {whole.ids[i]: root.get(alike.groups[i], alike.groups[i]) for i in alike.first}
    if drawn:
        near = {whole.ids[i] for i in alike.near} | {table.ids[i] for i in rows.alike.near}
        rows = _among_all(rows, alike, near=len(near), groups=len(set(group_of.values())))
    spaces = [
        Representation.of(side, label, entry, space, device)
        for (side, label, entry), space in zip(members, latents, strict=True)
    ]
    values = {name: control.values for name, control in controls.items()}
    joined = JoinedSpaces(*sides.divide(spaces), values, table, rows)
    return Opened(sides.entries, joined, sides.dataset, group_of, rows.duplicates.exact)


def open_pairs(config: AdaptConfig, entries: Found | None = None) -> Paired:
    """Open the two spaces that ``config`` names, as pairs of rows to train on; raises as :func:`open_inputs` does.

    Args:
        config: the settings.
        entries: the cache entries for these settings, if they have been looked up already.
    """
    sides = Sides.of(config, entries)
    views: list[Latents] = []
    stored: list[torch.Tensor | RowReader] = []
    streamed = sides.gigabytes > config.memory_gb
    for side, _, entry in sides.members:
        if streamed:
            reader, sketch = on_disk(side, entry)
            views.append(replace(reader.latents, values=sketch.rows()))
            stored.append(reader)
        else:
            views.append(in_memory(side, entry))
            stored.append(views[-1].values)
    if streamed:
        log.info("latents of %.2g GB are read from the cache as they are needed (memory_gb=%g)",
                 sides.gigabytes, config.memory_gb)  # fmt: skip
    thumbnails = sides.controls(["pixels"], config.cache_dir).values()
    x, y, *pixels = join(*(without(latents, sides.lacking) for latents in (*views, *thumbnails)))
    rows = choose_rows(
        [[x], [y], *([pixels] if pixels else [])],
        max_rows=len(x),
        select_share=0.0,
        seed=config.seed,
        skipped=list(sides.lacking.items()),
    )
    (source,), (target,) = sides.entries.source, sides.entries.target
    everything = Pairs(stored[0], stored[1], *(_places(view, x.ids) for view in views))
    return Paired(
        source=source,
        target=target,
        pairs=everything.part(torch.tensor(rows.score)),
        table=x.take(rows.score),
        groups=[rows.groups[i] for i in rows.score],
        duplicates=rows.duplicates,
        dataset=sides.dataset,
        labels=sides.entries.labels,
    )


def _places(view: Latents, ids: Sequence[str]) -> torch.Tensor:
    """Return the row numbers of the samples ``ids`` in ``view``."""
    place = {sample_id: row for row, sample_id in enumerate(view.ids)}
    return torch.tensor([place[sample_id] for sample_id in ids], dtype=torch.long)


@dataclass(frozen=True)
class _Drawn:
    """The drawn rows, and what is known about all rows."""

    latents: list[Latents]  # of every entry
    groups: list[str]  # near-duplicates among all rows merged
    order: Sequence[str]  # of all groups
    table: Latents  # ids, labels, groups and attributes of all rows
    alike: Alike  # duplicates among all rows


def _draw(sides: Sides, config: AnalyzeConfig) -> _Drawn:
    """Draw rows and read only these from the disk."""
    readers, near = [], []
    for side, _, entry in sides.members:
        reader, sketch = on_disk(side, entry)
        readers.append(reader)
        near.append(sketched_labels(sketch))  # at once, so that only one sketch is in memory
    table = join(*(without(reader.latents, sides.lacking) for reader in readers))[0]
    labels = [labels[reader.places(table.ids)] for reader, labels in zip(readers, near, strict=True)]
    alike = find_alike(table, sides.divide(labels), list(sides.lacking.items()))
    drawn = draw_rows(alike, max_rows=config.max_rows, seed=config.seed)
    if len(drawn.rows) < len(alike.first):
        log.info("%d samples are more than fit in memory: %d of them are drawn and read", len(table), len(drawn.rows))
    ids = [table.ids[i] for i in drawn.rows]
    latents = [reader.take(reader.places(ids)) for reader in readers]
    return _Drawn(latents, [alike.groups[i] for i in drawn.rows], drawn.order, table, alike)


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
