"""The table of a file of latents: ids, labels, groups, and a column for each attribute."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from foresight_cli.errors import ForesightError

Column: TypeAlias = "list[Any] | np.ndarray"
KINDS = {"O": "Python objects", "U": "text", "S": "bytes"}
"""By numpy's letter for a kind of dtype."""


@dataclass(frozen=True)
class Columns:
    """The columns of a file as they were read, one entry a row.

    Attributes:
        ids: text or whole numbers.
        labels: likewise; None where the file has no such column.
        groups: likewise.
        attributes: numbers, by name.
    """

    ids: Column
    labels: Column | None = None
    groups: Column | None = None
    attributes: Mapping[str, Column] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """One entry a row.

    Attributes:
        ids: unique, in Unicode form NFC as those of every dataset.
        labels: the category, None where there is none.
        groups: the id, where the file names no other.
        attributes: float64 ``[n]`` by name; NaN where a row has none.
    """

    ids: list[str]
    labels: list[str | None]
    groups: list[str]
    attributes: dict[str, np.ndarray]


def check_names(
    path: Path, name: str, shape: Sequence[int], dtype: np.dtype[Any] | str, rows: int, line: str | None = None
) -> None:
    """Refuse ids, labels or groups that are no column of text or whole numbers, before they are read.

    Args:
        path: of the file.
        name: ids, labels or groups.
        shape: of the array.
        dtype: of the array; what the format calls it, where numpy has none like it.
        rows: of the values.
        line: what to type to have text in its place, where a line does that.

    Raises:
        ForesightError: what it is, and what was wanted.
    """
    kind = "" if isinstance(dtype, str) else dtype.kind
    if kind not in ("i", "u", "U", "S"):
        way = f"wanted text or whole numbers. Type: {line}" if line else f"save them with np.array({name}, dtype=str)"
        raise ForesightError(f"{path}: {name} are {KINDS.get(kind, dtype)}: {way}")
    if tuple(shape) != (rows,):
        raise ForesightError(f"{path}: {name} has shape {list(shape)}: wanted [{rows}], one for each row of values")


def table_of(path: Path, columns: Columns, rows: int) -> Table:
    """The table that ``columns`` make; arrays among them have passed :func:`check_names`.

    Raises:
        ForesightError: a column is too long or too short, an id is missing or stands twice, a number is infinite.
    """
    ids = [unicodedata.normalize("NFC", text) for text in _words(path, "ids", columns.ids, rows)]
    _refuse_unusable(path, ids)
    blank = [""] * rows
    labels = blank if columns.labels is None else _words(path, "labels", columns.labels, rows)
    groups = blank if columns.groups is None else _words(path, "groups", columns.groups, rows)
    return Table(
        ids=ids,
        labels=[label or None for label in labels],
        groups=[group or sample_id for group, sample_id in zip(groups, ids, strict=True)],
        attributes={name: _numbers(path, name, column, ids) for name, column in columns.attributes.items()},
    )


def _words(path: Path, name: str, column: Column, rows: int) -> list[str]:
    """The column as text, "" where it has nothing."""
    entries = [_decoded(path, name, entry) for entry in (column.tolist() if isinstance(column, np.ndarray) else column)]
    if len(entries) != rows:
        raise ForesightError(f"{path}: {name} has shape [{len(entries)}]: wanted [{rows}], one for each row of values")
    for entry in entries:
        if isinstance(entry, bool) or not isinstance(entry, str | int | None):
            raise ForesightError(f"{path}: {name} holds {entry!r}: wanted text or whole numbers")
        if isinstance(entry, str) and entry.encode(errors="ignore").decode() != entry:
            raise ForesightError(f"{path}: {name} holds {entry!r}, which is not valid Unicode")
    return ["" if entry is None else str(entry) for entry in entries]


def _decoded(path: Path, name: str, entry: Any) -> Any:
    """Text that was saved as bytes, as h5py and TensorFlow do, as text; anything else as it is."""
    try:
        return entry.decode() if isinstance(entry, bytes) else entry
    except UnicodeDecodeError:
        raise ForesightError(f"{path}: {name} holds {entry!r}, which is not UTF-8 text") from None


def _refuse_unusable(path: Path, ids: Sequence[str]) -> None:
    first: dict[str, int] = {}
    for row, sample_id in enumerate(ids):
        if not sample_id:
            raise ForesightError(f"{path}: row {row} (counted from 0) has no id")
        if sample_id in first:
            raise ForesightError(
                f"{path}: the id {sample_id!r} stands twice, in rows {first[sample_id]} and {row} (counted from 0)"
            )
        first[sample_id] = row


def _numbers(path: Path, name: str, column: Column, ids: Sequence[str]) -> np.ndarray:
    numbers = np.asarray(column, dtype=np.float64)
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        raise ForesightError(
            f"{path}: the attribute {name!r} of {ids[infinite[0]]!r} is {numbers[infinite[0]]}: wanted a finite "
            "number, or NaN where there is none"
        )
    return numbers
