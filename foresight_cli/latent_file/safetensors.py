"""``X.safetensors``: a tensor ``values``; ids, labels and groups as JSON lists in the metadata, or in ``X.csv``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from foresight_cli.errors import ForesightError
from foresight_cli.latent_file.columns import WORDS, Column, check_column, meant
from foresight_cli.latent_file.file import LatentFile, check_values, latent_file, reading
from foresight_cli.latent_file.npy import csv_columns

DTYPES = {
    **{"F16": "float16", "F32": "float32", "F64": "float64", "BF16": "uint16", "BOOL": "bool"},
    **{f"{kind}{bits}": f"{name}{bits}" for kind, name in (("I", "int"), ("U", "uint")) for bits in (8, 16, 32, 64)},
}
"""numpy has no bfloat16, and asking torch would import it: such numbers are read as their bits."""


class Tensor(NamedTuple):
    """Where a tensor lies in the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int


def read_safetensors(path: Path) -> LatentFile:
    """See :func:`open_latent_file`. The values are mapped into memory, not read."""
    metadata, tensors = _header(path)
    if "values" not in tensors:
        raise ForesightError(f"{path}: nothing named 'values' among {sorted(tensors)}")
    values = tensors.pop("values")
    dtype = "bfloat16" if values.dtype == "BF16" else DTYPES.get(values.dtype, values.dtype)
    check_values(path, values.shape, dtype)
    columns = _lists(path, metadata)
    if twice := sorted(set(columns) & set(tensors)):
        raise ForesightError(f"{path}: {twice[0]!r} stands in the metadata and among the tensors: keep one of them")
    beside = path.with_suffix(".csv")
    if not {"id", "ids"} & {*columns, *tensors}:
        if not beside.exists():
            raise ForesightError(
                f"{path}: no ids. Put them in its metadata, as save_file(..., metadata={{'ids': json.dumps(ids)}}), "
                f"or in a column id of {beside}"
            )
        columns |= csv_columns(beside, path, values.shape[0], taken=[*columns, *tensors])
    for name, means in meant(path, [*columns, *tensors]).items():
        if name in tensors:
            columns[name] = _column(path, means, tensors[name], values.shape[0])
    return latent_file(path, values.shape, dtype, columns, lambda: _mapped(path, values))


def _header(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The metadata and the tensors, as the library finds them whole; it does not tell where they start."""
    from safetensors import SafetensorError, safe_open

    with reading(path, SafetensorError), safe_open(path, "np"):
        pass
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        said = json.loads(file.read(size))
    metadata = said.pop("__metadata__", {})
    places = {name: Tensor(t["dtype"], tuple(t["shape"]), 8 + size + t["data_offsets"][0]) for name, t in said.items()}
    return metadata, places


def _lists(path: Path, metadata: dict[str, str]) -> dict[str, Column]:
    """Ids, labels and groups as the metadata has them; what else it holds says nothing of the rows."""
    columns: dict[str, Column] = {}
    for name in sorted({*WORDS, *(word.removesuffix("s") for word in WORDS)} & set(metadata)):
        try:
            column = json.loads(metadata[name])
        except ValueError:
            column = None
        if not isinstance(column, list):
            raise ForesightError(f"{path}: {name!r} in its metadata is no JSON list: write it with json.dumps(list)")
        columns[name] = column
    return columns


def _column(path: Path, name: str, tensor: Tensor, rows: int) -> np.ndarray:
    is_bfloat16 = tensor.dtype == "BF16"
    known = np.dtype(DTYPES[tensor.dtype]) if tensor.dtype in DTYPES else tensor.dtype
    check_column(path, name, tensor.shape, np.dtype(np.float32) if is_bfloat16 else known, rows)
    column = np.array(_mapped(path, tensor))
    return (column.astype(np.uint32) << 16).view(np.float32) if is_bfloat16 else column


def _mapped(path: Path, tensor: Tensor) -> np.ndarray:
    return np.memmap(path, DTYPES[tensor.dtype], mode="r", offset=tensor.start, shape=tensor.shape)
