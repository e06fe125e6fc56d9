"""The choice of rows: without duplicates, near-duplicates in one group, some groups set aside for choosing a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import torch
from scipy.cluster.hierarchy import DisjointSet

from foresight_cli.latents import Latents
from foresight_cli.latents.reading.sketch import Sketch
from foresight_cli.metrics import duplicate_groups
from foresight_cli.metrics.duplicates import effective_columns
from foresight_cli.results import Duplicates

View = Sequence[Latents]
"""Representations of one side: samples that nearly coincide in one of them are near-duplicates in the view."""


LARGEST_GROUP = 4
"""If rows are drawn, no group gets more than 1 / this of them: one very long clip would displace all others."""
PAIR_ROWS = 5000
"""Measures of pairs of rows (CKA, distances, neighbours, permutations) use at most this many rows: each costs n^2."""


@dataclass(frozen=True)
class Rows:
    """Rows of the joined latents, as indices.

    Attributes:
        score: rows for every estimate.
        select: rows of other groups, for choosing the best pair; empty if no choice is needed.
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
        """Counts of duplicates."""
        return self.alike.duplicates


@dataclass(frozen=True)
class Alike:
    """Rows that are alike, as indices.

    Attributes:
        first: rows whose picture is not that of an earlier row.
        near: those of ``first`` that nearly coincide with another in two views.
        near_in: number of rows of ``first`` that nearly coincide with another in each representation, view by view.
        groups: group of every row; those of equal pictures and of near-duplicates are merged.
        duplicates: counts of all of these.
    """

    first: list[int]
    near: list[int]
    near_in: list[int]
    groups: list[str]
    duplicates: Duplicates


def find_alike(samples: Latents, views: Sequence[Sequence[np.ndarray]], skipped: Sequence[Sequence[str]]) -> Alike:
    """Find equal pictures, and rows that coincide in two views.

    Two samples are near-duplicates if they nearly coincide in two views, for example the source and the target, or the
    source and the thumbnails. In one view alone, it may be that view which cannot see a difference (a colour histogram
    does not see position). If such samples were merged, that weakness could not be measured.

    Args:
        samples: the rows; the values may be empty.
        views: result of `near_labels` for each representation of each view; rows in the order of ``samples``.
        skipped: samples that could not be used, for the record.
    """
    first, exact = _first_of_equal_pixels(samples)
    near = _coincide_twice(views, first)
    groups = _merged(samples.groups, [*exact, *near])
    alike = sorted({i for rows in near for i in rows})
    duplicates = Duplicates(
        rows=len(samples),
        exact=len(samples) - len(first),
        near=len(alike),
        groups=len({groups[i] for i in first}),
        examples=[[samples.ids[i] for i in rows[:6]] for rows in [*exact, *near][:8]],
        skipped=[list(pair) for pair in skipped],
    )
    near_in = [_count_shared(labels[first]) for view in views for labels in view]
    return Alike(first, alike, near_in, groups, duplicates)


def _merged(groups: Sequence[str], alike: Sequence[Sequence[int]]) -> list[str]:
    """Return the group of every row, with groups that share a set of ``alike`` rows under the first of their names."""
    sets = DisjointSet({groups[i] for rows in alike for i in rows})
    for first, *others in alike:
        for i in others:
            sets.merge(groups[first], groups[i])
    name_of = {group: min(names) for names in sets.subsets() for group in names}
    return [name_of.get(group, group) for group in groups]


def near_labels(values: torch.Tensor, rows: Sequence[int]) -> np.ndarray:
    """Return for each row of ``values [n, d]`` the number of its set of near-duplicates among ``rows``, -1 for none."""
    return _numbered(duplicate_groups(values[list(rows)]), np.asarray(rows), len(values))


def sketched_labels(sketch: Sketch) -> np.ndarray:
    """Return the same for all rows of a sketch."""
    columns = effective_columns(sketch.sample())
    rows = sketch.rows()
    return _numbered(duplicate_groups(rows, columns=columns), np.arange(len(rows)), len(rows))


def _numbered(groups: Sequence[Sequence[int]], within: np.ndarray, rows: int) -> np.ndarray:
    labels = np.full(rows, -1)
    for number, members in enumerate(groups):
        labels[within[list(members)]] = number
    return labels


@dataclass(frozen=True)
class Drawn:
    """Rows drawn before any latent is read into memory, and all groups in the order of the draw."""

    rows: list[int]
    order: list[str]


def draw_rows(alike: Alike, *, max_rows: int, seed: int) -> Drawn:
    """Draw whole groups with at most ``max_rows`` rows in all."""
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
        max_rows: at most this many rows are drawn in all, for scoring and choosing; whole groups are drawn.
        select_share: share of groups set aside for choosing among pairs, 0 for none.
        seed: of the draw.
        skipped: samples that could not be used, for the record.
        order: of the groups, if the rows were drawn before; otherwise it is drawn now.
    """
    samples = views[0][0]
    first, _ = _first_of_equal_pixels(samples)
    labels = [[near_labels(space.values, first) for space in view] for view in views]
    alike = find_alike(samples, labels, skipped)
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
    """Return the first row of each picture, and the sets of rows with equal pictures."""
    seen: dict[bytes, list[int]] = {}
    for i, digest in enumerate(latents.pixels.numpy()):
        seen.setdefault(digest.tobytes(), []).append(i)
    return sorted(rows[0] for rows in seen.values()), [rows for rows in seen.values() if len(rows) > 1]


def _coincide_twice(views: Sequence[Sequence[np.ndarray]], rows: Sequence[int]) -> list[list[int]]:
    """Return the sets of ``rows`` that are near-duplicates in a representation of one view and of another."""
    among = np.asarray(rows)
    sets: dict[tuple[int, ...], None] = {}
    for first, second in combinations(views, 2):
        for a, b in product(first, second):
            together: dict[tuple[int, int], list[int]] = {}
            for row in among[(a[among] >= 0) & (b[among] >= 0)].tolist():
                together.setdefault((int(a[row]), int(b[row])), []).append(row)
            sets |= {tuple(rows): None for rows in together.values() if len(rows) > 1}
    return [list(rows) for rows in sets]


def _count_shared(labels: np.ndarray) -> int:
    """Count the rows with a label that another row has too."""
    _, sizes = np.unique(labels[labels >= 0], return_counts=True)
    return int(sizes[sizes > 1].sum())


def _one_of_each(groups: Sequence[str], seed: int) -> list[int] | None:
    """Return one row of every group, drawn with ``seed``: the first rows might all be of the first category."""
    order = np.random.default_rng(seed).permutation(len(groups)).tolist()
    chosen = {groups[i]: i for i in order}
    if len(chosen) == len(groups) <= PAIR_ROWS:
        return None
    return sorted(list(chosen.values())[:PAIR_ROWS])


def _shuffled_groups(groups: Sequence[str], seed: int) -> list[str]:
    names = sorted(set(groups))
    return [names[i] for i in np.random.default_rng(seed).permutation(len(names))]


def _take(rows: Sequence[int], groups: Sequence[str], order: Sequence[str], most: int) -> list[int]:
    """Return all ``rows``, or those of the first groups of ``order`` that fit in ``most``."""
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
            break  # to continue would favour small groups
        chosen.add(group)
        total += size[group]
    return [i for i in rows if groups[i] in chosen]
