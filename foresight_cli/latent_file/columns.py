"""What a file of latents says of its rows: ids, labels, groups, and a column for each attribute."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from foresight_cli.csv_table import PLURALS
from foresight_cli.errors import ForesightError

Column: TypeAlias = "list[Any] | np.ndarray"
WORDS = ("ids", "labels", "groups")
NUMBERS = ("b", "i", "u", "f")
KINDS = {"O": "Python objects", "U": "text", "S": "bytes"}
"""By numpy's letter for a kind of dtype."""


@dataclass(frozen=True)
class Table:
    """One entry a row.

    Attributes:
        ids: unique, in Unicode form NFC as those of every dataset.
        labels: the category, None where there is none.
        groups: the id, where the file says no other.
        attributes: float64 ``[n]`` by name; NaN where a row has none.
    """

    ids: list[str]
    labels: list[str | None]
    groups: list[str]
    attributes: dict[str, np.ndarray]


def meant(path: Path, names: Collection[str]) -> dict[str, str]:
    """What each name in the file stands for: ``group`` is ``groups``, an attribute is itself.

    Raises:
        ForesightError: the file has both ``group`` and ``groups``, or no ids.
    """
    plural = {one: many for many, one in PLURALS.items()}
    for one, many in plural.items():
        if one in names and many in names:
            raise ForesightError(f"{path}: it has both {one!r} and {many!r}: keep one of them")
    if not {"id", "ids"} & set(names):
        raise ForesightError(
            f"{path}: nothing named 'ids' among {sorted(names)}. Latents are matched by id, never by position"
        )
    return {name: plural.get(name, name) for name in names}


def check_column(path: Path, name: str, shape: Sequence[int], dtype: np.dtype[Any] | str, rows: int) -> None:
    """Refuse an array that is no column, before it is read.

    Args:
        path: of the file.
        name: as :func:`meant` has it.
        shape: of the array.
        dtype: of the array; what the format calls it, where numpy has none like it.
        rows: of the values.

    Raises:
        ForesightError: what it is, and what was wanted.
    """
    kind = "" if isinstance(dtype, str) else dtype.kind
    called = KINDS.get(kind, dtype)
    if name not in WORDS:
        if kind not in NUMBERS or tuple(shape) != (rows,):
            raise ForesightError(
                f"{path}: {name!r} has shape {list(shape)} and holds {called}: an attribute is one number for each of "
                f"the {rows} rows. Leave it out"
            )
    elif kind not in ("i", "u", "U"):
        raise ForesightError(f"{path}: {name} are {called}: save them with np.array({name}, dtype=str)")
    elif tuple(shape) != (rows,):
        raise ForesightError(f"{path}: {name} has shape {list(shape)}: wanted [{rows}], one for each row of values")


def table_of(path: Path, columns: Mapping[str, Column], rows: int) -> Table:
    """The table that ``columns`` make; arrays among them have passed :func:`check_column`.

    Raises:
        ForesightError: a column is too long or too short, an id is missing or stands twice, a number is infinite.
    """
    names = meant(path, columns)
    words = {names[name]: _words(path, names[name], columns[name], rows) for name in columns if names[name] in WORDS}
    ids = [unicodedata.normalize("NFC", text) for text in words["ids"]]
    _refuse_unusable(path, ids)
    groups = words.get("groups", [""] * rows)
    return Table(
        ids=ids,
        labels=[label or None for label in words.get("labels", [""] * rows)],
        groups=[group or sample_id for group, sample_id in zip(groups, ids, strict=True)],
        attributes={name: _numbers(path, name, columns[name], ids) for name in columns if names[name] not in WORDS},
    )


def _words(path: Path, name: str, column: Column, rows: int) -> list[str]:
    """The column as text, "" where it has nothing."""
    entries = column.tolist() if isinstance(column, np.ndarray) else column
    if len(entries) != rows:
        raise ForesightError(f"{path}: {name} has shape [{len(entries)}]: wanted [{rows}], one for each row of values")
    for entry in entries:
        if isinstance(entry, bool) or not isinstance(entry, str | int | None):
            raise ForesightError(f"{path}: {name} holds {entry!r}: wanted text or whole numbers")
        if isinstance(entry, str) and entry.encode(errors="ignore").decode() != entry:
            raise ForesightError(f"{path}: {name} holds {entry!r}, which is not valid Unicode")
    return ["" if entry is None else str(entry) for entry in entries]


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
