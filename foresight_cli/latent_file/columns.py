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
"""Names of dtype kinds, by numpy's letter."""


@dataclass(frozen=True)
class Columns:
    """The columns of a file as they were read, one entry per row.

    Attributes:
        ids: text or whole numbers.
        labels: text or whole numbers; None if the file has no such column.
        groups: text or whole numbers; None if the file has no such column.
        attributes: numbers, by name.
    """

    ids: Column
    labels: Column | None = None
    groups: Column | None = None
    attributes: Mapping[str, Column] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """The checked columns of a file, one entry per row.

    Attributes:
        ids: unique, in Unicode form NFC, like the ids of every dataset.
        labels: the category, or None.
        groups: the group, or the id of the row if the file has no groups.
        attributes: float64 ``[n]`` by name; NaN for missing.
    """

    ids: list[str]
    labels: list[str | None]
    groups: list[str]
    attributes: dict[str, np.ndarray]


def check_names(
    path: Path, name: str, shape: Sequence[int], dtype: np.dtype[Any] | str, rows: int, line: str | None = None
) -> None:
    """Refuse ids, labels or groups that are not a column of text or whole numbers, before they are read.

    Args:
        path: the file.
        name: ids, labels or groups.
        shape: shape of the array.
        dtype: dtype of the array; its name in the format, if numpy has no such dtype.
        rows: number of rows of the values.
        line: line to type that converts it to text, if there is one.

    Raises:
        ForesightError: the dtype or the shape does not fit.
    """
    kind = "" if isinstance(dtype, str) else dtype.kind
    if kind not in ("i", "u", "U", "S"):
        way = f"wanted text or whole numbers. Type: {line}" if line else f"save them with np.array({name}, dtype=str)"
        raise ForesightError(f"{path}: {name} are {KINDS.get(kind, dtype)}: {way}")
    if tuple(shape) != (rows,):
        raise ForesightError(f"{path}: {name} has shape {list(shape)}: wanted [{rows}], one for each row of values")


def table_of(path: Path, columns: Columns, rows: int) -> Table:
    """Return the table of ``columns``; arrays among them have passed :func:`check_names`.

    Raises:
        ForesightError: a column is too long or too short, an id is missing or duplicate, or a number is infinite.
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
    """Return the column as text, "" for missing entries."""
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
    """Decode text that was saved as bytes (as h5py and TensorFlow do); return anything else unchanged."""
    try:
        return entry.decode() if isinstance(entry, bytes) else entry
    except UnicodeDecodeError:
        raise ForesightError(f"{path}: {name} holds {entry!r}, which is not UTF-8 text") from None


def _refuse_unusable(path: Path, ids: Sequence[str]) -> None:
    if "" in ids:
        raise ForesightError(f"{path}: row {ids.index('')} (counted from 0) has no id")
    if repeat := first_repeat(ids):
        first, second = repeat
        raise ForesightError(f"{path}: duplicate id {ids[first]!r}, in rows {first} and {second} (counted from 0)")


def first_repeat(ids: Sequence[str]) -> tuple[int, int] | None:
    """Return the rows of the first id that an earlier row has too, the earlier row first; None if all are unique."""
    first: dict[str, int] = {}
    for row, sample_id in enumerate(ids):
        if (earlier := first.setdefault(sample_id, row)) != row:
            return earlier, row
    return None


def _numbers(path: Path, name: str, column: Column, ids: Sequence[str]) -> np.ndarray:
    numbers = np.asarray(column, dtype=np.float64)
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        raise ForesightError(
            f"{path}: the attribute {name!r} of {ids[infinite[0]]!r} is {numbers[infinite[0]]}: wanted a finite "
            "number, or NaN if it is missing"
        )
    return numbers
