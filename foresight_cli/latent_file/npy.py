"""``X.npy``: only values; ids, labels, groups and attributes are in a table beside it.

The table is ``X.csv``, ``X.parquet``, or, as clip-retrieval names it, ``metadata_3.parquet`` for ``img_emb_3.npy``, in
the same folder or in ``metadata/`` beside it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np

from foresight_cli.errors import ForesightError
from foresight_cli.latent_file.columns import Column, Columns
from foresight_cli.latent_file.conversions import npy_line
from foresight_cli.latent_file.csv_table import PLURALS, Row, csv_cells, is_number
from foresight_cli.latent_file.fields import Field, Naming, Undecided, id_column, no_ids, roles_of
from foresight_cli.latent_file.file import About, LatentFile, check_values, latent_file, reading

NUMBERED = re.compile(r"(.*?)[_-]?([0-9]+)")


def read_npy(path: Path, naming: Naming) -> LatentFile:
    """Open a ``.npy``, see :func:`open_latent_file`."""
    with reading(path, ValueError, EOFError):
        with path.open("rb") as file:
            shape, dtype = array_header(file)
        check_values(path, shape, dtype.name, partial(npy_line, path, dtype, shape))
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    if naming.values is not None and not path.stem.startswith(naming.values):
        raise Undecided(f"{path} is one array: leave {{at}}.values={naming.values} out", naming.at)
    table = table_beside(path)
    if table is None:
        beside = path.with_suffix(".csv")
        raise ForesightError(
            f"{path} holds only values: put a column id, and label, group and attributes if there are any, in "
            f"{beside}, one row for each row of values"
        )
    naming = Naming(naming.id, None, naming.at)
    columns, about = columns_beside(table, path, shape[0], naming)
    return latent_file(path, shape, dtype.name, columns, lambda: values, about)


def array_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and dtype of the ``.npy`` array at the start of ``file``.

    Raises:
        ValueError: it starts with something else.
    """
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version}")  # 3.0 is for records with names beyond Latin-1
    try:
        shape, _, dtype = readers[version](file)
    except TokenError as error:  # raised by numpy's last attempt at an unreadable header
        raise ValueError(str(error)) from None
    return shape, dtype


def table_beside(path: Path) -> Path | None:
    """Return the table of the rows of ``path`` (ids, labels, ...); None if there is no such file."""
    files = [path.with_suffix(".csv"), path.with_suffix(".parquet")]
    numbered = NUMBERED.fullmatch(path.stem)
    for folder in (path.parent, path.parent.parent / "metadata"):
        if numbered is None:
            files.append(folder / "metadata.parquet")
        elif folder.is_dir():
            tables = {file for file in folder.glob("metadata*.parquet") if NUMBERED.fullmatch(file.stem)}
            files += sorted(file for file in tables if part_number(file) == int(numbered[2]))
    return next((file for file in files if file.is_file()), None)


def part_number(path: Path) -> int | None:
    """Return the number at the end of the file's name, or None."""
    numbered = NUMBERED.fullmatch(path.stem)
    return None if numbered is None else int(numbered[2])


def columns_beside(table: Path, path: Path, rows: int, naming: Naming) -> tuple[Columns, About]:
    """Return the columns of the table beside the latents ``path``, in the order of its rows, and notes on them.

    Raises:
        ForesightError: see :func:`csv_columns`, or the table has another number of rows than the values.
    """
    if table.suffix == ".parquet":
        from foresight_cli.latent_file.parquet import parquet_columns

        return parquet_columns(table, path, rows, naming)
    return csv_columns(table, path, rows, naming)


def csv_columns(
    file: Path, path: Path, rows: int, naming: Naming, taken: Collection[str] = ()
) -> tuple[Columns, About]:
    """Return the columns of the CSV ``file`` beside the latents ``path``, in the order of its rows.

    A column is text, and left alone, if most of its cells are not numbers.

    Args:
        file: the CSV: a column of ids, maybe ``label`` and ``group``; every other one of numbers is an attribute.
        path: the file of the latents.
        rows: number of rows that it must have.
        naming: columns that the user named.
        taken: names of columns in the file of the latents.

    Raises:
        ForesightError: see :func:`csv_cells`; also another number of rows, a row without id, or a name in ``taken``.
    """
    header, rows_of_cells = csv_cells(file)
    table = list(rows_of_cells)
    if len(table) != rows:
        raise ForesightError(f"{file} has {len(table)} rows and {path} has {rows}: wanted one for each, in its order")
    named = Naming(PLURALS.get(naming.id, naming.id) if naming.id else None, None, naming.at)
    words = {name: Field((rows,), np.dtype("U1")) for name in header if name}
    name = id_column(file, words, named)
    if name is None:
        raise no_ids(file, words, named)
    if nameless := [row for row in table if not row.cells.get(name, "").strip()]:
        raise ForesightError(f"{nameless[0].where}: no id")
    numbers = {
        column: Field((rows,), np.dtype("f8")) for column in words if column != name and _is_number(table, column)
    }
    roles = roles_of(file, words | numbers, named, values=False)
    names: dict[str, Column] = {role: [row.text(column) for row in table] for role, column in roles.names.items()}
    attributes = {column: np.array([row.number(column) for row in table]) for column in sorted(roles.attributes)}
    for column in [name, *roles.names.values(), *attributes]:
        if column in taken or f"{column}s" in taken:
            raise ForesightError(f"{file}: the column {column!r} is in {path} too: keep one of them")
    return Columns([row.cells[name] for row in table], **names, attributes=attributes), roles.about(file)


def _is_number(table: Sequence[Row], column: str) -> bool:
    """Check whether most cells that are not blank are numbers: the others are then mistakes, not text."""
    cells = [row.cells[column] for row in table if column in row.cells]
    return 2 * sum(map(is_number, cells)) > len(cells)
