"""Which rows are scored: duplicates out, near-duplicates in one group, some groups set aside for choosing a layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from foresight_cli.latents import Latents
from foresight_cli.metrics import duplicate_groups
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
        groups: group of every row of the joined latents, near-duplicates merged.
        one_of_each: one row of every group among ``score``, as indices into it, at most `PAIR_ROWS`; None for all.
        duplicates: what was found.
        near: how many rows have a near-duplicate in each representation, view by view.
    """

    score: list[int]
    select: list[int]
    groups: list[str]
    one_of_each: list[int] | None
    duplicates: Duplicates
    near: list[int]


@dataclass(frozen=True)
class Drawn:
    """Rows drawn from more than fit in memory, as indices.

    Attributes:
        rows: those drawn: whole groups.
        first_of_equal: every row whose picture is not that of an earlier row.
    """

    rows: list[int]
    first_of_equal: list[int]


def draw_rows(known: Latents, *, max_rows: int, seed: int) -> Drawn:
    """Draw rows before any latent is read; near-duplicates are then looked for among those drawn alone.

    Args:
        known: every row; its values may be empty.
        max_rows: at most so many; whole groups are drawn.
        seed: of the draw.
    """
    first, _ = _first_of_equal_pixels(known)
    order = _shuffled_groups([known.groups[i] for i in first], seed)
    return Drawn(_take(first, known.groups, order, max_rows), first)


def choose_rows(
    views: Sequence[View], *, max_rows: int, select_share: float, seed: int, skipped: Sequence[Sequence[str]]
) -> Rows:
    """Leave out exact duplicates, merge near-duplicates into groups, draw the rows.

    Two samples are near-duplicates if they nearly coincide in two views, the source and the target, say, or the source
    and the thumbnails. In one view alone it is that view which is blind (a colour histogram to position), and merging
    what it cannot tell apart would leave nothing to measure its blindness on.

    Args:
        views: the source's representations, the target's, and those of the inputs, joined: the same rows everywhere.
        max_rows: at most so many rows are scored and selected on together; whole groups are drawn.
        select_share: share of groups set aside for choosing among pairs, 0 for none.
        seed: of the draw.
        skipped: files that could not be decoded, for the record.
    """
    first = views[0][0]
    kept, exact = _first_of_equal_pixels(first)
    near_by_view = [[_duplicate_labels(space, kept) for space in view] for view in views]
    near = _coincide_twice(near_by_view, kept)
    merged = _UnionFind(first.groups)
    for rows in [*exact, *near]:
        merged.join(first.groups[i] for i in rows)
    groups = [merged.find(group) for group in first.groups]
    order = _shuffled_groups([groups[i] for i in kept], seed)
    drawn = _take(kept, groups, order, max_rows)
    drawn_groups = {groups[i] for i in drawn}
    present = [group for group in order if group in drawn_groups]
    aside = set(present[: round(select_share * len(present))])
    duplicates = Duplicates(
        rows=len(first),
        exact=len(first) - len(kept),
        near=len({i for rows in near for i in rows}),
        groups=len({groups[i] for i in kept}),
        examples=[[first.ids[i] for i in rows[:6]] for rows in [*exact, *near][:8]],
        skipped=[list(pair) for pair in skipped],
    )
    score = [i for i in drawn if groups[i] not in aside]
    return Rows(
        score=score,
        select=[i for i in drawn if groups[i] in aside],
        groups=groups,
        one_of_each=_one_of_each([groups[i] for i in score], seed),
        duplicates=duplicates,
        near=[int((labels >= 0).sum()) for view in near_by_view for labels in view],
    )


def _first_of_equal_pixels(latents: Latents) -> tuple[list[int], list[list[int]]]:
    """The rows whose picture has not been seen before, and the sets of rows with equal pictures."""
    seen: dict[bytes, list[int]] = {}
    for i, digest in enumerate(latents.pixels.numpy()):
        seen.setdefault(digest.tobytes(), []).append(i)
    return sorted(rows[0] for rows in seen.values()), [rows for rows in seen.values() if len(rows) > 1]


def _duplicate_labels(space: Latents, kept: Sequence[int]) -> np.ndarray:
    """For each kept row the number of its set of near-duplicates in ``space``, -1 for none."""
    labels = np.full(len(kept), -1)
    for number, rows in enumerate(duplicate_groups(space.values[list(kept)])):
        labels[list(rows)] = number
    return labels


def _coincide_twice(views: Sequence[Sequence[np.ndarray]], kept: Sequence[int]) -> list[list[int]]:
    """Sets of rows that are near-duplicates in a representation of one view and in one of another."""
    found: dict[tuple[int, ...], None] = {}
    for one, other in combinations(views, 2):
        for a, b in product(one, other):
            together: dict[tuple[int, int], list[int]] = {}
            for row in np.flatnonzero((a >= 0) & (b >= 0)).tolist():
                together.setdefault((int(a[row]), int(b[row])), []).append(kept[row])
            found |= {tuple(rows): None for rows in together.values() if len(rows) > 1}
    return [list(rows) for rows in found]


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
