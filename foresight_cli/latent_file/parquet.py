"""``.parquet``: columns of ids and of values (lists of floats, maybe of lists), labels, groups, and attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from foresight_cli.errors import ForesightError
from foresight_cli.latent_file.columns import Column, Columns
from foresight_cli.latent_file.conversions import parquet_line
from foresight_cli.latent_file.fields import Field, Naming, Roles, no_ids, roles_of
from foresight_cli.latent_file.file import CHUNK, About, LatentFile, check_values, latent_file, reading, row_bytes
from foresight_cli.latent_file.npz import stacked


def read_parquet(path: Path, naming: Naming) -> LatentFile:
    """Open a ``.parquet``, see :func:`open_latent_file`. The values are read whole, batch by batch."""
    with _opened(path) as file:
        kinds = _kinds(path, file)
        fields = _fields(kinds, file)
        roles = roles_of(path, fields, naming)
        first = kinds[roles.values[0]]
        shape, dtype = _shape(path, file, roles.values, fields)
        line = partial(_line, path, roles.values[0], first)
        if len(roles.values) == 1 and not _depth(first):
            remedy = f". Type: {line()}" if line() else ""
            raise ForesightError(
                f"{path}: the column {roles.values[0]!r} is {first}: wanted a list of floats in each row{remedy}"
            )
        check_values(path, shape, dtype, line)
        if roles.ids is None:
            raise no_ids(path, fields, naming)
        columns = _columns(file, roles)
    read = partial(_values, path, roles.values, shape, dtype, columns.ids)
    return latent_file(path, shape, dtype, columns, read, roles.about(path))


def parquet_columns(table: Path, path: Path, rows: int, naming: Naming) -> tuple[Columns, About]:
    """Return the columns of a ``.parquet`` beside the latents ``path``, in the order of its rows.

    Raises:
        ForesightError: it has another number of rows, or no ids.
    """
    with _opened(table) as file:
        if file.metadata.num_rows != rows:
            raise ForesightError(
                f"{table} has {file.metadata.num_rows} rows and {path} has {rows}: wanted one for each, in its order"
            )
        fields = _fields(_kinds(table, file), file)
        roles = roles_of(table, fields, naming, values=False)
        if roles.ids is None:
            raise no_ids(table, fields, naming)
        return _columns(file, roles), roles.about(table)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise ForesightError(
            f"{path}: reading .parquet needs pyarrow. Type: pip install 'foresight-latents[parquet]'"
        ) from None
    # with pre_buffer, all the rest of the file is held in memory too
    with reading(path, ArrowException, UnicodeDecodeError), ParquetFile(path, pre_buffer=False) as file:
        yield file


def _kinds(path: Path, file: Any) -> dict[str, Any]:
    """Return the Arrow type of each column."""
    schema = file.schema_arrow
    if duplicates := [name for name in schema.names if schema.names.count(name) > 1]:
        raise ForesightError(f"{path}: duplicate column {duplicates[0]!r}")
    return {field.name: _plain(field.type) for field in schema}


def _plain(kind: Any) -> Any:
    """Return the storage type of an extension type, or the value type of a dictionary type."""
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        return _plain(kind.storage_type)
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _fields(kinds: Mapping[str, Any], file: Any) -> dict[str, Field]:
    rows = file.metadata.num_rows
    return {name: Field((rows, *[-1] * _depth(kind)), _dtype(_innermost(kind))) for name, kind in kinds.items()}


def _depth(kind: Any) -> int:
    """Return the number of nested lists."""
    import pyarrow as pa

    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return 1 + _depth(kind.value_type) if is_list else 0


def _innermost(kind: Any) -> Any:
    return _innermost(kind.value_type) if _depth(kind) else kind


def _dtype(kind: Any) -> np.dtype[Any] | str:
    import pyarrow as pa

    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        numbers: np.dtype[Any] = np.dtype(kind.to_pandas_dtype())
        return numbers
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return np.dtype("U1") if is_text else str(kind)


def _line(path: Path, name: str, kind: Any) -> str | None:
    """Return the line to type for a column of values that does not hold lists of floats."""
    import pyarrow as pa

    inner = _innermost(kind)
    if pa.types.is_integer(inner) or pa.types.is_boolean(inner) or pa.types.is_decimal(inner):
        return parquet_line(path, name, "number", _depth(kind))
    is_bytes = pa.types.is_binary(inner) or pa.types.is_large_binary(inner) or pa.types.is_fixed_size_binary(inner)
    text = pa.types.is_string(inner) or pa.types.is_large_string(inner)
    return parquet_line(path, name, "bytes" if is_bytes else "text" if text else "", _depth(kind))


def _shape(path: Path, file: Any, names: Sequence[str], fields: Mapping[str, Field]) -> tuple[tuple[int, ...], str]:
    """Return shape and dtype of the values; the lengths of lists are those of the first row that is not empty."""
    first = fields[names[0]]
    if len(names) == 1:
        sizes = _sizes(file, names[0], len(first.shape) - 1)
        kind = first.dtype if isinstance(first.dtype, str) else "string" if first.kind == "U" else first.dtype.name
        return (first.shape[0], *sizes), kind
    unlike = [name for name in names if fields[name].kind != "f"]
    if unlike:
        raise ForesightError(f"{path}: the values' column {unlike[0]!r} holds {fields[unlike[0]].dtype}: wanted floats")
    shape, dtype = stacked(first.shape, [np.dtype(fields[name].dtype) for name in names])
    return shape, dtype.name


def _sizes(file: Any, name: str, depth: int) -> list[int]:
    for batch in file.iter_batches(batch_size=1, columns=[name]):
        numbers, sizes = batch.column(0)[0].as_py(), list[int]()
        while isinstance(numbers, list) and numbers:
            sizes.append(len(numbers))
            numbers = numbers[0]
        if len(sizes) == depth:
            return sizes
    return [0] * depth


def _columns(file: Any, roles: Roles) -> Columns:
    assert roles.ids is not None
    return Columns(
        _words(file, roles.ids),
        **{role: _words(file, name) for role, name in roles.names.items()},
        attributes={name: _numbers(file, name) for name in roles.attributes},
    )


def _words(file: Any, name: str) -> Column:
    words: list[Any] = file.read(columns=[name]).column(name).to_pylist()
    return words


def _numbers(file: Any, name: str) -> np.ndarray:
    import pyarrow as pa

    numbers: np.ndarray = file.read(columns=[name]).column(name).cast(pa.float64(), safe=False).to_numpy()
    return numbers


def _values(path: Path, names: Sequence[str], shape: tuple[int, ...], dtype: str, ids: Column) -> np.ndarray:
    values, start = np.empty(shape, dtype), 0
    with _opened(path) as file:
        for batch in file.iter_batches(max(1, CHUNK // row_bytes(shape, dtype)), columns=list(names)):
            rows = slice(start, start + batch.num_rows)
            parts = [_numbers_of(path, batch.column(name), shape[1:], ids[rows]) for name in names]
            values[rows] = parts[0].reshape(-1, *shape[1:]) if len(names) == 1 else np.column_stack(parts)
            start += batch.num_rows
    return values


def _numbers_of(path: Path, column: Any, sizes: Sequence[int], ids: Column) -> np.ndarray:
    """Return the numbers of some rows, flat; each list must have the expected length.

    A row without a vector, or a missing number, is NaN, like a failed embedding in other formats.
    """
    import pyarrow as pa
    from pyarrow import compute

    numbers = column.storage if isinstance(column, pa.ExtensionArray) else column
    present = np.ones(len(numbers), bool)
    if _depth(numbers.type):
        present = compute.fill_null(compute.list_value_length(numbers), 0).to_numpy() > 0
        numbers, ids = numbers.filter(pa.array(present)), [name for name, has in zip(ids, present, strict=True) if has]
    each = 1  # entries per row at this depth
    for size in sizes if _depth(numbers.type) else ():
        lengths = compute.fill_null(compute.list_value_length(numbers), 0).to_numpy()
        for wrong in np.flatnonzero(lengths != size)[:1]:
            raise ForesightError(
                f"{path}: the values of {ids[wrong // each]!r} have {lengths[wrong]} numbers: wanted {size}, "
                "as in the other rows"
            )
        numbers, each = numbers.flatten(), each * size
    flat: np.ndarray = numbers.to_numpy(zero_copy_only=False)
    if present.all():
        return flat
    whole = np.full((len(present), each), np.nan, flat.dtype)
    whole[present] = flat.reshape(-1, each)
    return whole.reshape(-1)
