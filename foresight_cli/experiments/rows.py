"""Which rows are scored: duplicates out, near-duplicates in one group, some groups set aside for choosing a layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import torch

from foresight_cli.latents import Latents
from foresight_cli.latents.sketch import Sketch
from foresight_cli.metrics import duplicate_groups
from foresight_cli.metrics.duplicates import effective_columns
from foresight_cli.results import Duplicates

View = Sequence[Latents]
"""Representations of one side: two samples are near-duplicates in a view if they nearly coincide in one of them."""


LARGEST_GROUP = 4
"""Where rows are drawn, no group takes more than one of so many: one endless clip would leave room for nothing else."""
PAIR_ROWS = 5000
"""Measures of pairs of rows (CKA, distances, neighbours, permutations) take at most so many: they cost n^2 each."""


@dataclass(frozen=True)
class Rows:
    """Rows of the joined latents, as indices.

    Attributes:
        score: rows that every estimate is made on.
        select: rows of other groups, on which the best pair is chosen; empty where there is nothing to choose.
        one_of_each: one row of every group among ``score``, as indices into it, at most `PAIR_ROWS`; None for all.
        alike: equal pictures and near-duplicates among the joined latents.
    """

    score: list[int]
    select: list[int]
    one_of_each: list[int] | None
    alike: Alike

    @property
    def groups(self) -> list[str]:
        """Group of every row of the joined latents, near-duplicates merged."""
        return self.alike.groups

    @property
    def duplicates(self) -> Duplicates:
        """What was found, in numbers."""
        return self.alike.duplicates


@dataclass(frozen=True)
class Alike:
    """What is alike among rows, as indices.

    Attributes:
        first: rows whose picture is not that of an earlier row.
        near: of them, those that nearly coincide with another in two views.
        near_in: how many of them nearly coincide with another in each representation, view by view.
        groups: group of every row; those of equal pictures and of near-duplicates are merged.
        duplicates: the same in numbers.
    """

    first: list[int]
    near: list[int]
    near_in: list[int]
    groups: list[str]
    duplicates: Duplicates


def find_alike(known: Latents, views: Sequence[Sequence[np.ndarray]], skipped: Sequence[Sequence[str]]) -> Alike:
    """Find equal pictures, and rows that coincide in two views.

    Two samples are near-duplicates if they nearly coincide in two views, the source and the target, say, or the source
    and the thumbnails. In one view alone it is that view which is blind (a colour histogram to position), and merging
    what it cannot tell apart would leave nothing to measure its blindness on.

    Args:
        known: the rows; its values may be empty.
        views: what `near_labels` says of each representation of each view; rows in the order of ``known``.
        skipped: samples that could not be used, for the record.
    """
    first, exact = _first_of_equal_pixels(known)
    near = _coincide_twice(views, first)
    merged = _UnionFind(known.groups)
    for rows in [*exact, *near]:
        merged.join(known.groups[i] for i in rows)
    groups = [merged.find(group) for group in known.groups]
    alike = sorted({i for rows in near for i in rows})
    duplicates = Duplicates(
        rows=len(known),
        exact=len(known) - len(first),
        near=len(alike),
        groups=len({groups[i] for i in first}),
        examples=[[known.ids[i] for i in rows[:6]] for rows in [*exact, *near][:8]],
        skipped=[list(pair) for pair in skipped],
    )
    near_in = [_in_company(labels[first]) for view in views for labels in view]
    return Alike(first, alike, near_in, groups, duplicates)


def near_labels(values: torch.Tensor, rows: Sequence[int]) -> np.ndarray:
    """For each row of ``values [n, d]`` the number of its set of near-duplicates among ``rows``, -1 for none."""
    return _numbered(duplicate_groups(values[list(rows)]), np.asarray(rows), len(values))


def sketched_labels(sketch: Sketch) -> np.ndarray:
    """The same among all rows that are sketched."""
    columns = effective_columns(sketch.sample())
    rows = sketch.rows()
    return _numbered(duplicate_groups(rows, columns=columns), np.arange(len(rows)), len(rows))


def _numbered(groups: Sequence[Sequence[int]], within: np.ndarray, rows: int) -> np.ndarray:
    labels = np.full(rows, -1)
    for number, found in enumerate(groups):
        labels[within[list(found)]] = number
    return labels


@dataclass(frozen=True)
class Drawn:
    """Rows drawn before any latent is read into memory, and all groups in the order of the draw."""

    rows: list[int]
    order: list[str]


def draw_rows(alike: Alike, *, max_rows: int, seed: int) -> Drawn:
    """Draw whole groups, ``max_rows`` in all at most."""
    order = _shuffled_groups([alike.groups[i] for i in alike.first], seed)
    return Drawn(_take(alike.first, alike.groups, order, max_rows), order)


def choose_rows(
    views: Sequence[View],
    *,
    max_rows: int,
    select_share: float,
    seed: int,
    skipped: Sequence[Sequence[str]],
    order: Sequence[str] = (),
) -> Rows:
    """Leave out exact duplicates, merge near-duplicates into groups (see `find_alike`), draw the rows.

    Args:
        views: the source's representations, the target's, and those of the inputs, joined: the same rows everywhere.
        max_rows: at most so many rows are scored and selected on together; whole groups are drawn.
        select_share: share of groups set aside for choosing among pairs, 0 for none.
        seed: of the draw.
        skipped: samples that could not be used, for the record.
        order: of the groups, where the rows were drawn before; else it is drawn now.
    """
    known = views[0][0]
    first, _ = _first_of_equal_pixels(known)
    labels = [[near_labels(space.values, first) for space in view] for view in views]
    alike = find_alike(known, labels, skipped)
    groups = alike.groups
    order = order or _shuffled_groups([groups[i] for i in first], seed)
    drawn = _take(first, groups, order, max_rows)
    drawn_groups = {groups[i] for i in drawn}
    present = [group for group in order if group in drawn_groups]
    aside = set(present[: round(select_share * len(present))])
    score = [i for i in drawn if groups[i] not in aside]
    return Rows(
        score=score,
        select=[i for i in drawn if groups[i] in aside],
        one_of_each=_one_of_each([groups[i] for i in score], seed),
        alike=alike,
    )


def _first_of_equal_pixels(latents: Latents) -> tuple[list[int], list[list[int]]]:
    """The rows whose picture has not been seen before, and the sets of rows with equal pictures."""
    seen: dict[bytes, list[int]] = {}
    for i, digest in enumerate(latents.pixels.numpy()):
        seen.setdefault(digest.tobytes(), []).append(i)
    return sorted(rows[0] for rows in seen.values()), [rows for rows in seen.values() if len(rows) > 1]


def _coincide_twice(views: Sequence[Sequence[np.ndarray]], rows: Sequence[int]) -> list[list[int]]:
    """Sets of ``rows`` that are near-duplicates in a representation of one view and in one of another."""
    among = np.asarray(rows)
    found: dict[tuple[int, ...], None] = {}
    for one, other in combinations(views, 2):
        for a, b in product(one, other):
            together: dict[tuple[int, int], list[int]] = {}
            for row in among[(a[among] >= 0) & (b[among] >= 0)].tolist():
                together.setdefault((int(a[row]), int(b[row])), []).append(row)
            found |= {tuple(rows): None for rows in together.values() if len(rows) > 1}
    return [list(rows) for rows in found]


def _in_company(labels: np.ndarray) -> int:
    """How many have a label that another has too."""
    _, sizes = np.unique(labels[labels >= 0], return_counts=True)
    return int(sizes[sizes > 1].sum())


def _one_of_each(groups: Sequence[str], seed: int) -> list[int] | None:
    """One row of every group, drawn by ``seed``: the first of each would all be of the first category."""
    order = np.random.default_rng(seed).permutation(len(groups)).tolist()
    chosen = {groups[i]: i for i in order}
    if len(chosen) == len(groups) <= PAIR_ROWS:
        return None
    return sorted(list(chosen.values())[:PAIR_ROWS])


def _shuffled_groups(groups: Sequence[str], seed: int) -> list[str]:
    names = sorted(set(groups))
    return [names[i] for i in np.random.default_rng(seed).permutation(len(names))]


def _take(rows: Sequence[int], groups: Sequence[str], order: Sequence[str], most: int) -> list[int]:
    """All ``rows``, or those of the first groups of ``order`` that fit in ``most``."""
    if len(rows) <= most:
        return list(rows)
    size: dict[str, int] = {}
    few = []
    for i in rows:
        size[groups[i]] = size.get(groups[i], 0) + 1
        if size[groups[i]] <= most // LARGEST_GROUP:
            few.append(i)
    rows, size = few, {group: min(rows_of, most // LARGEST_GROUP) for group, rows_of in size.items()}
    chosen, total = set(), 0
    for group in order:
        if total + size[group] > most:
            break  # going on would favour small groups
        chosen.add(group)
        total += size[group]
    return [i for i in rows if groups[i] in chosen]


class _UnionFind:
    def __init__(self, names: Sequence[str]) -> None:
        self._parent = {name: name for name in names}

    def find(self, name: str) -> str:
        while self._parent[name] != name:
            self._parent[name] = self._parent[self._parent[name]]
            name = self._parent[name]
        return name

    def join(self, names: Iterable[str]) -> None:
        roots = sorted({self.find(name) for name in names})
        for root in roots[1:]:
            self._parent[root] = roots[0]
