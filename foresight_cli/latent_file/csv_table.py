"""Per-sample labels, groups and attributes from a CSV file, by id."""

from __future__ import annotations

import csv
import io
import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from foresight_cli.errors import ForesightError

PLURALS = {"ids": "id", "labels": "label", "groups": "group"}
"""Accepted plural names: a column ``groups`` read as numbers would let groups leak across every split."""


@dataclass(frozen=True)
class Row:
    """A row that is not blank.

    Attributes:
        where: the line on which it starts, "FILE, line 3".
        cells: the cells that are not blank, by column.
    """

    where: str
    cells: dict[str, str]

    @property
    def id(self) -> str:
        """Id of the sample; "" if it is blank."""
        return self.cells.get("id", "")

    def names(self) -> dict[str, str]:
        """Return the label and the group, those that are not blank."""
        return {name: self.text(name) for name in ("label", "group") if name in self.cells}

    def attributes(self) -> dict[str, float]:
        """Return every other cell as a number.

        Raises:
            ForesightError: a cell is not a finite number.
        """
        return {name: self.number(name) for name in self.cells if name not in ("id", "label", "group")}

    def text(self, column: str) -> str:
        """Return the cell without white space around it; "" if it is blank."""
        return self.cells.get(column, "").strip()

    def number(self, column: str) -> float:
        """Return the cell as a number; NaN if it is blank.

        Raises:
            ForesightError: it is not a finite number.
        """
        cell = self.cells.get(column)
        if cell is not None and not is_number(cell):
            raise ForesightError(f"{self.where}: column {column!r} must be a finite number, got {cell!r}")
        return math.nan if cell is None else float(cell)


def csv_table(file: Path) -> Iterator[Row]:
    """Return the rows of ``file``, in order; its first row names the columns, which must include ``id``.

    Raises:
        ForesightError: see :func:`csv_cells`; also if there is no column ``id``.
    """
    header, rows = csv_cells(file)
    if "id" not in header:
        raise ForesightError(f"{file}: no column 'id' among {header}")
    return rows


def csv_cells(file: Path) -> tuple[list[str], Iterator[Row]]:
    """Return the columns of ``file``, and its rows in order.

    Raises:
        ForesightError: a line or a cell cannot be used.
    """
    rows = _csv_rows(file)
    header = [PLURALS.get(name.strip(), name.strip()) for name in next(rows, ("", list[str]()))[1]]
    if duplicates := [name for name in header if name and header.count(name) > 1]:
        raise ForesightError(f"{file}: duplicate column {duplicates[0]!r}")
    return header, _rows(header, rows)


def _rows(header: list[str], rows: Iterator[tuple[str, list[str]]]) -> Iterator[Row]:
    for where, cells in rows:
        row = {name: cell for name, cell in zip_longest(header, cells, fillvalue="") if cell.strip()}
        if "" in row:
            raise ForesightError(f"{where}: {row['']!r} has no column name")
        yield Row(where, row)


def is_number(cell: str) -> bool:
    """Check whether ``cell`` is a finite number."""
    try:
        return math.isfinite(float(cell)) and "_" not in cell  # float() reads 1_0 as 10
    except ValueError:
        return False


def _csv_rows(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the start of each row that is not blank ("FILE, line 3"), and its cells."""
    try:
        text = unicodedata.normalize("NFC", file.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ForesightError(f"{file}, line {line}: not UTF-8 ({error.reason}); save the file as UTF-8") from None
    except OSError as error:
        raise ForesightError(f"cannot read {file}: {error.strerror}") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield f"{file}, line {line}", cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise ForesightError(f"{file}, line {line}: {error}") from None
