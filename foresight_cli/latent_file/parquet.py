"""``.parquet``: columns ``id`` and ``values`` (lists of floats), maybe ``label`` and ``group``, and attributes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from foresight_cli.errors import ForesightError
from foresight_cli.latent_file.columns import WORDS, Column, check_column, meant
from foresight_cli.latent_file.file import CHUNK, LatentFile, check_values, latent_file, reading, row_bytes

PANDAS_INDEX = re.compile(r"__index_level_\d+__")
"""pandas writes the index of a data frame under such a name: row numbers, mostly, and no attribute."""


def read_parquet(path: Path) -> LatentFile:
    """See :func:`open_latent_file`. The values are read whole, one part of the file after another."""
    with _opened(path) as file:
        schema = file.schema_arrow
        if twice := [name for name in schema.names if schema.names.count(name) > 1]:
            raise ForesightError(f"{path}: the column {twice[0]!r} stands twice")
        kinds = {field.name: field.type for field in schema if not PANDAS_INDEX.fullmatch(field.name)}
        if "values" not in kinds:
            raise ForesightError(f"{path}: nothing named 'values' among {sorted(kinds)}")
        dtype = _dtype(path, kinds.pop("values"))
        shape = (file.metadata.num_rows, _width(file))
        check_values(path, shape, dtype)
        columns = {}
        for name, means in meant(path, kinds).items():
            if means not in WORDS:
                check_column(path, name, shape[:1], _number_dtype(kinds[name]), shape[0])
            columns[name] = _column(file, name, words=means in WORDS)
    ids = columns["id" if "id" in columns else "ids"]
    return latent_file(path, shape, dtype, columns, lambda: _values(path, shape, dtype, ids))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise ForesightError(
            f"{path}: reading .parquet wants pyarrow. Type: pip install 'foresight-latents[parquet]'"
        ) from None
    # with pre_buffer, every part of the file that is yet to come is held in memory too
    with reading(path, ArrowException, UnicodeDecodeError), ParquetFile(path, pre_buffer=False) as file:
        yield file


def _dtype(path: Path, kind: Any) -> str:
    """The numpy name of the numbers in a column of lists."""
    import pyarrow as pa

    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        raise ForesightError(f"{path}: the column 'values' is {kind}: wanted a list of floats in each row")
    if pa.types.is_nested(kind.value_type):
        raise ForesightError(
            f"{path}: the column 'values' is {kind}: wanted one list of floats in each row. Save tokens and grids "
            "as .npz"
        )
    known = _number_dtype(kind.value_type)
    return known if isinstance(known, str) else known.name


def _number_dtype(kind: Any) -> np.dtype[Any] | str:
    import pyarrow as pa

    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        known: np.dtype[Any] = np.dtype(kind.to_pandas_dtype())
        return known
    return str(kind)


def _width(file: Any) -> int:
    """How many numbers the first row has that has some: those of all, unless :func:`_values` refuses one."""
    for batch in file.iter_batches(batch_size=1, columns=["values"]):
        if numbers := batch.column(0)[0].as_py():
            return len(numbers)
    return 0


def _column(file: Any, name: str, *, words: bool) -> Column:
    import pyarrow as pa

    column = file.read(columns=[name]).column(name)
    held: Column = column.to_pylist() if words else column.cast(pa.float64(), safe=False).to_numpy()
    return held


def _values(path: Path, shape: tuple[int, int], dtype: str, ids: Column) -> np.ndarray:
    from pyarrow import compute

    values, start = np.empty(shape, dtype), 0
    with _opened(path) as file:
        for batch in file.iter_batches(max(1, CHUNK // row_bytes(shape, dtype)), columns=["values"]):
            rows = batch.column(0)
            lengths = compute.fill_null(compute.list_value_length(rows), 0).to_numpy()
            for wrong in np.flatnonzero(lengths != shape[1])[:1]:
                raise ForesightError(
                    f"{path}: the values of {ids[start + wrong]!r} have {lengths[wrong]} numbers: wanted {shape[1]}, "
                    "as in the other rows"
                )
            numbers = rows.flatten()
            for empty in np.flatnonzero(numbers.is_null().to_numpy(zero_copy_only=False))[:1]:
                raise ForesightError(f"{path}: a number is missing in the values of {ids[start + empty // shape[1]]!r}")
            values[start : start + len(rows)] = numbers.to_numpy(zero_copy_only=False).reshape(-1, shape[1])
            start += len(rows)
    return values
