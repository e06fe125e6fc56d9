"""``X.npy``: values alone; ids, labels, groups and attributes in ``X.csv`` beside it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np

from foresight_cli.csv_table import csv_table
from foresight_cli.errors import ForesightError
from foresight_cli.latent_file.columns import Column
from foresight_cli.latent_file.file import LatentFile, check_values, latent_file, reading


def read_npy(path: Path) -> LatentFile:
    """See :func:`open_latent_file`."""
    with reading(path, ValueError, EOFError):
        with path.open("rb") as file:
            shape, dtype = array_header(file)
        check_values(path, shape, dtype.name)
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    beside = path.with_suffix(".csv")
    if not beside.exists():
        raise ForesightError(
            f"{path} holds values alone: put a column id, and label, group and attributes where there are any, in "
            f"{beside}, one row for each row of values"
        )
    return latent_file(path, shape, dtype.name, csv_columns(beside, path, shape[0]), lambda: values)


def array_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of the ``.npy`` array that ``file`` starts with.

    Raises:
        ValueError: it starts with something else.
    """
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version}")  # 3.0 is for records with names beyond Latin-1
    try:
        shape, _, dtype = readers[version](file)
    except TokenError as error:  # numpy's last try at a header that no Python can read
        raise ValueError(str(error)) from None
    return shape, dtype


def csv_columns(file: Path, path: Path, rows: int, taken: Collection[str] = ()) -> dict[str, Column]:
    """The columns of the CSV ``file`` that lies beside the latents ``path``, in the order of its rows.

    Args:
        file: the CSV: column ``id``, maybe ``label`` and ``group``; every other one is an attribute.
        path: of the latents.
        rows: how many it must have.
        taken: names that the latents' own file has given.

    Raises:
        ForesightError: see :func:`csv_table`, or another number of rows, a row without id, a name that is taken.
    """
    table = list(csv_table(file))
    if len(table) != rows:
        raise ForesightError(f"{file} has {len(table)} rows and {path} has {rows}: wanted one for each, in its order")
    if nameless := [row for row in table if not row.id]:
        raise ForesightError(f"{nameless[0].where}: no id")
    names, numbers = [row.names() for row in table], [row.attributes() for row in table]
    columns: dict[str, Column] = {"id": [row.id for row in table]}
    for word in sorted({word for given in names for word in given}):
        columns[word] = [given.get(word) for given in names]
    for name in sorted({name for given in numbers for name in given}):
        columns[name] = np.array([given.get(name, np.nan) for given in numbers])
    if twice := [name for name in columns if name in taken or f"{name}s" in taken]:
        raise ForesightError(f"{file}: the column {twice[0]!r} stands in {path} too: keep one of them")
    return columns
