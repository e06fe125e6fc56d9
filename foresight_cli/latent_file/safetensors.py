"""``X.safetensors``: a tensor ``values``; ids, labels and groups as JSON lists in the metadata, or in ``X.csv``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from foresight_cli.errors import ForesightError
from foresight_cli.latent_file.columns import Column, Columns, check_names
from foresight_cli.latent_file.conversions import safetensors_line
from foresight_cli.latent_file.fields import (
    BFLOAT16,
    ID_NAMES,
    LINK_NAMES,
    PLACE_NAMES,
    ROLES,
    Field,
    Naming,
    Roles,
    roles_of,
)
from foresight_cli.latent_file.file import About, LatentFile, check_values, latent_file, reading
from foresight_cli.latent_file.npy import csv_columns
from foresight_cli.latent_file.npz import stacked

DTYPES = {
    **{"F16": "float16", "F32": "float32", "F64": "float64", "BF16": "uint16", "BOOL": "bool"},
    **{f"{kind}{bits}": f"{name}{bits}" for kind, name in (("I", "int"), ("U", "uint")) for bits in (8, 16, 32, 64)},
}
"""numpy has no bfloat16, and torch would have to be imported for it: such numbers are read as their bits."""


class Tensor(NamedTuple):
    """Dtype, shape and offset of a tensor in the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int


def read_safetensors(path: Path, naming: Naming) -> LatentFile:
    """Open a ``.safetensors``, see :func:`open_latent_file`. The values are memory-mapped, not read."""
    metadata, tensors = _header(path)
    lists = _lists(path, metadata, naming)
    if duplicates := sorted(set(lists) & set(tensors)):
        raise ForesightError(f"{path}: {duplicates[0]!r} is in the metadata and among the tensors: keep one of them")
    fields = {name: Field(tensor.shape, _numpy_dtype(tensor.dtype)) for name, tensor in tensors.items()}
    fields |= {name: Field((len(column),), np.dtype("U1")) for name, column in lists.items()}
    roles = roles_of(path, fields, naming)
    parts = [tensors[name] for name in roles.values if name in tensors]
    if not parts:
        raise ForesightError(f"{path}: {roles.values[0]!r} is a list in the metadata: wanted a tensor")
    shape, dtype = _stacked(parts)
    check_values(path, shape, dtype, partial(safetensors_line, path, roles.values[0], parts[0].dtype))
    read, about = partial(_mapped_together, path, parts), roles.about(path)
    if roles.ids is None:
        columns, more = _from_csv(path, roles, lists, tensors, shape[0], naming)
        return latent_file(path, shape, dtype, columns, read, (about[0] + more[0], more[1]))
    return latent_file(path, shape, dtype, _columns(path, roles, lists, tensors, shape[0]), read, about)


def _from_csv(
    path: Path, roles: Roles, lists: Mapping[str, Column], tensors: Mapping[str, Tensor], rows: int, naming: Naming
) -> tuple[Columns, About]:
    """Return the columns of a file without ids: they are in the CSV beside it, which may add others."""
    beside = path.with_suffix(".csv")
    if not beside.exists():
        raise ForesightError(
            f"{path}: no ids. Put them in its metadata, with save_file(..., metadata={{'ids': json.dumps(ids)}}), "
            f"or in a column id of {beside}"
        )
    own = _columns(path, roles, lists, tensors, rows)
    more, about = csv_columns(beside, path, rows, naming, taken=[*roles.names.values(), *roles.attributes])
    return Columns(
        more.ids,
        own.labels if own.labels is not None else more.labels,
        own.groups if own.groups is not None else more.groups,
        {**own.attributes, **more.attributes},
    ), about


def _columns(
    path: Path, roles: Roles, lists: Mapping[str, Column], tensors: Mapping[str, Tensor], rows: int
) -> Columns:
    words = {"ids": roles.ids, **roles.names} if roles.ids is not None else dict(roles.names)
    for role, name in words.items():
        if name in tensors:
            check_names(path, role, tensors[name].shape, _numpy_dtype(tensors[name].dtype), rows)
    read = {role: lists[name] if name in lists else _column(path, tensors[name]) for role, name in words.items()}
    return Columns(
        read.pop("ids", []), **read, attributes={name: _column(path, tensors[name]) for name in roles.attributes}
    )


def _header(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return the metadata and the tensors; the library checks the file, but does not report the offsets."""
    from safetensors import SafetensorError, safe_open

    with reading(path, SafetensorError), safe_open(path, "np"):
        pass
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    metadata = header.pop("__metadata__", {})
    places = {
        name: Tensor(tensor["dtype"], tuple(tensor["shape"]), 8 + size + tensor["data_offsets"][0])
        for name, tensor in header.items()
    }
    return metadata, places


def _lists(path: Path, metadata: dict[str, str], naming: Naming) -> dict[str, Column]:
    """Return ids, labels and groups from the metadata; its other entries do not describe the rows."""
    lists: dict[str, Column] = {}
    for name in sorted({*ID_NAMES, *PLACE_NAMES, *LINK_NAMES, *ROLES, naming.id} & set(metadata), key=str):
        assert name is not None
        try:
            column = json.loads(metadata[name])
        except ValueError:
            column = None
        if isinstance(column, list):
            lists[name] = column
        elif name in ("id", "ids", *ROLES, naming.id):
            raise ForesightError(f"{path}: {name!r} in its metadata is not a JSON list: write it with json.dumps(list)")
    return lists


def _numpy_dtype(name: str) -> np.dtype[Any] | str:
    """Return numpy's dtype for a tensor's dtype, or its name if numpy has none."""
    return BFLOAT16 if name == "BF16" else np.dtype(DTYPES[name]) if name in DTYPES else name


def _stacked(parts: Sequence[Tensor]) -> tuple[tuple[int, ...], str]:
    """Return shape and dtype of one tensor, or of several of one number per row side by side."""
    dtypes = [_numpy_dtype(part.dtype) for part in parts]
    if len(parts) == 1 or BFLOAT16 in dtypes or any(isinstance(dtype, str) for dtype in dtypes):
        shape = parts[0].shape if len(parts) == 1 else (parts[0].shape[0], len(parts))
        return shape, dtypes[0] if isinstance(dtypes[0], str) else dtypes[0].name
    shape, dtype = stacked(parts[0].shape, [np.dtype(dtype) for dtype in dtypes])
    return shape, dtype.name


def _column(path: Path, tensor: Tensor) -> np.ndarray:
    column = np.array(_mapped(path, tensor))
    return (column.astype(np.uint32) << 16).view(np.float32) if tensor.dtype == "BF16" else column


def _mapped_together(path: Path, parts: Sequence[Tensor]) -> np.ndarray:
    return _mapped(path, parts[0]) if len(parts) == 1 else np.column_stack([_mapped(path, part) for part in parts])


def _mapped(path: Path, tensor: Tensor) -> np.ndarray:
    return np.memmap(path, DTYPES[tensor.dtype], mode="r", offset=tensor.start, shape=tensor.shape)
