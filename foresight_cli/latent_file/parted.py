"""Latents in several files, presented as one file."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import overload

import numpy as np

from foresight_cli.errors import ForesightError
from foresight_cli.latent_file.columns import Table, first_repeat
from foresight_cli.latent_file.file import LatentFile


@dataclass(frozen=True)
class PartedValues:
    """Rows of several files, numbered through; a part is mapped, or read, when one of its rows is needed."""

    parts: Sequence[LatentFile]

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(part.shape[0] for part in self.parts))

    @overload
    def __getitem__(self, rows: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, rows: slice) -> np.ndarray: ...
    def __getitem__(self, rows: int | slice) -> np.ndarray:
        """Return one row, or the rows of a slice of step one, in native byte order."""
        if isinstance(rows, slice):
            return np.stack([self[row] for row in range(*rows.indices(self._ends[-1]))])
        number = bisect_right(self._ends, rows)
        values = self.parts[number].values
        row: np.ndarray = values[rows - self._ends[number] + self.parts[number].shape[0]]
        return row.astype(row.dtype.newbyteorder("="), copy=False)


@dataclass(frozen=True)
class PartedFile(LatentFile):
    """A :class:`LatentFile` of several files, in order; its hash is that of one file with all rows.

    Attributes:
        parts: the files.
    """

    parts: tuple[LatentFile, ...] = ()

    @cached_property
    def values(self) -> PartedValues:  # type: ignore[override]
        """Every value, by row number."""
        return PartedValues(self.parts)

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield the values in row order; no part stays in memory."""
        for part in self.parts:
            yield from replace(part).chunks()


def joined(path: Path, parts: Sequence[LatentFile], notes: tuple[str, ...] = ()) -> PartedFile:
    """Return all ``parts`` as one file.

    Raises:
        ForesightError: they differ in shape, dtype or columns, or an id is in two of them.
    """
    first = parts[0]
    for part in parts[1:]:
        if part.shape[1:] != first.shape[1:]:
            raise ForesightError(
                f"{part.path} has rows of shape {list(part.shape[1:])}, {first.path} of {list(first.shape[1:])}: "
                "wanted the same in every part"
            )
        if part.dtype != first.dtype:
            raise ForesightError(
                f"{part.path} holds {part.dtype}, {first.path} {first.dtype}: save all parts in one dtype"
            )
        for column in ("labels", "groups"):
            if (column in part.columns) != (column in first.columns):
                has, lacks = (part, first) if column in part.columns else (first, part)
                raise ForesightError(
                    f"{lacks.path} has no {column}, which {has.path} has: wanted them in every part or in none"
                )
    _refuse_twice(parts)
    table, missing = _table(path, parts)
    shape = (sum(part.shape[0] for part in parts), *first.shape[1:])
    own = dict.fromkeys(f"{path}: {note.partition(': ')[2]}" for part in parts for note in part.notes)
    names = [part.path.name for part in parts]
    several = f"{len(parts)} files, {names[0]} to {names[-1]}"
    count = f"{path}: {several if len(parts) > 1 else f'1 file, {names[0]}'}"
    return PartedFile(
        path,
        shape,
        first.dtype,
        table,
        first.read,
        (count, *own, *notes, *missing),
        first.columns,
        first.other_ids,
        tuple(parts),
    )


def _refuse_twice(parts: Sequence[LatentFile]) -> None:
    ids = [(sample_id, part.path) for part in parts for sample_id in part.table.ids]
    if rows := first_repeat([sample_id for sample_id, _ in ids]):
        (sample_id, first), (_, second) = (ids[row] for row in rows)
        raise ForesightError(f"the id {sample_id!r} is in both {first} and {second}")


def _table(path: Path, parts: Sequence[LatentFile]) -> tuple[Table, tuple[str, ...]]:
    """Return the rows of all tables, with notes; an attribute that a part lacks is NaN there, and noted."""
    names = dict.fromkeys(name for part in parts for name in part.table.attributes)
    lacking = {name: [part for part in parts if name not in part.table.attributes] for name in names}
    notes = [
        f"{path}: {name} is not a number in {some[0].path.name}{f' and {len(some) - 1} more' if len(some) > 1 else ''}"
        ": it is NaN in those rows"
        for name, some in lacking.items()
        if some
    ]
    columns = {
        name: np.concatenate([part.table.attributes.get(name, np.full(part.shape[0], np.nan)) for part in parts])
        for name in names
    }
    table = Table(
        ids=[i for part in parts for i in part.table.ids],
        labels=[label for part in parts for label in part.table.labels],
        groups=[group for part in parts for group in part.table.groups],
        attributes=columns,
    )
    return table, tuple(notes)
