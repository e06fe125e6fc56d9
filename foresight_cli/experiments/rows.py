"""Which rows are scored: duplicates out, near-duplicates in one group, some groups set aside for choosing a layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from foresight_cli.latents import Latents
from foresight_cli.metrics import duplicate_groups
from foresight_cli.results import Duplicates


@dataclass(frozen=True)
class Rows:
    """Rows of the joined latents, as indices.

    Attributes:
        score: rows that every estimate is made on.
        select: rows of other groups, on which the best pair is chosen; empty where there is nothing to choose.
        groups: group of every row of the joined latents, near-duplicates merged.
        duplicates: what was found.
        near: rows with a near-duplicate, by the index of the space.
    """

    score: list[int]
    select: list[int]
    groups: list[str]
    duplicates: Duplicates
    near: list[int]


def choose_rows(
    spaces: Sequence[Latents], *, max_rows: int, select_share: float, seed: int, skipped: Sequence[Sequence[str]]
) -> Rows:
    """Leave out exact duplicates, merge near-duplicates into groups, draw the rows.

    Args:
        spaces: all representations, joined: the same samples in the same order.
        max_rows: at most so many rows are scored and selected on together; whole groups are drawn.
        select_share: share of groups set aside for choosing among pairs, 0 for none.
        seed: of the draw.
        skipped: files that could not be decoded, for the record.
    """
    first = spaces[0]
    kept, exact_sets = _first_of_equal_pixels(first)
    groups = list(first.groups)
    near_by_space: list[int] = []
    near_rows: set[int] = set()
    near_sets: list[list[int]] = []
    merged = _UnionFind(groups)
    for space in spaces:
        sets = [[kept[i] for i in rows] for rows in duplicate_groups(space.values[kept])]
        near_by_space.append(sum(len(rows) for rows in sets))
        near_sets += sets
        for rows in sets:
            merged.join(groups[i] for i in rows)
            near_rows.update(rows)
    groups = [merged.find(group) for group in groups]
    order = _shuffled_groups([groups[i] for i in kept], seed)
    drawn = _take(kept, groups, order, max_rows)
    present = [g for g in order if g in {groups[i] for i in drawn}]
    aside = set(present[: round(select_share * len(present))])
    examples = [[first.ids[i] for i in rows] for rows in (exact_sets + near_sets)[:8]]
    duplicates = Duplicates(
        rows=len(first),
        exact=len(first) - len(kept),
        near=len(near_rows),
        groups=len({groups[i] for i in kept}),
        examples=[ids[:6] for ids in examples],
        skipped=[list(pair) for pair in skipped],
    )
    return Rows(
        score=[i for i in drawn if groups[i] not in aside],
        select=[i for i in drawn if groups[i] in aside],
        groups=groups,
        duplicates=duplicates,
        near=near_by_space,
    )


def _first_of_equal_pixels(latents: Latents) -> tuple[list[int], list[list[int]]]:
    """The rows whose picture has not been seen before, and the sets of rows with equal pictures."""
    seen: dict[bytes, list[int]] = {}
    for i, digest in enumerate(latents.pixels.numpy()):
        seen.setdefault(digest.tobytes(), []).append(i)
    return sorted(rows[0] for rows in seen.values()), [rows for rows in seen.values() if len(rows) > 1]


def _shuffled_groups(groups: Sequence[str], seed: int) -> list[str]:
    names = sorted(set(groups))
    return [names[i] for i in np.random.default_rng(seed).permutation(len(names))]


def _take(rows: Sequence[int], groups: Sequence[str], order: Sequence[str], most: int) -> list[int]:
    """All ``rows``, or those of the first groups of ``order`` that fit in ``most``."""
    if len(rows) <= most:
        return list(rows)
    size: dict[str, int] = {}
    for i in rows:
        size[groups[i]] = size.get(groups[i], 0) + 1
    chosen, total = set(), 0
    for group in order:
        if total + size[group] <= most:
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
