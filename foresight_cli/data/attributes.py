"""``attributes.csv``: numbers, labels and groups for the pictures of a folder, by id."""

from __future__ import annotations

import csv
import io
import math
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

from foresight_cli.data.dataset import Sample
from foresight_cli.errors import ForesightError

PLURALS = {"ids": "id", "labels": "label", "groups": "group"}
"""Headers that mean the same: read as numbers, a column of groups would leave every split open to leaks."""


def add_attributes(samples: dict[str, Sample], file: Path) -> None:
    """Puts what an ``attributes.csv`` says into ``samples``, which are keyed by id.

    Raises:
        ForesightError: which line and cell cannot be used, and what was wanted.
    """
    rows = _csv_rows(file)
    header = [PLURALS.get(name.strip(), name.strip()) for name in next(rows, ("", list[str]()))[1]]
    if "id" not in header:
        raise ForesightError(f"{file}: no column 'id' among {header}")
    if twice := [name for name in header if name and header.count(name) > 1]:
        raise ForesightError(f"{file}: column {twice[0]!r} stands twice")
    seen: dict[str, str] = {}
    for where, cells in rows:
        row = {name: cell for name, cell in zip_longest(header, cells, fillvalue="") if cell.strip()}
        if "" in row:
            raise ForesightError(f"{where}: {row['']!r} stands under no column name")
        sample_id = row.pop("id", "")
        if sample_id not in samples:
            raise ForesightError(f"{where}: no image {sample_id!r}; ids are paths such as {next(iter(samples))!r}")
        if sample_id in seen:
            raise ForesightError(f"{where}: id {sample_id!r} stands twice, see {seen[sample_id]}")
        seen[sample_id] = where
        given = {name: row.pop(name).strip() for name in ("label", "group") if name in row}
        attributes = {name: _number(cell, f"{where}: column {name!r}") for name, cell in row.items()}
        samples[sample_id] = replace(samples[sample_id], **given, attributes=attributes)


def _csv_rows(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Where each row that is not blank starts ("FILE, line 3"), and its cells."""
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


def _number(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in cell:  # float() reads 1_0 as 10
        raise ForesightError(f"{where} wants a finite number, got {cell!r}")
    return value
