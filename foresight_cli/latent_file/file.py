"""An open file of latents, the same for every format."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from foresight_cli.errors import ForesightError
from foresight_cli.latent_file.columns import Columns, Table, table_of

ITEMSIZE = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
CHUNK = 1 << 26
"""Bytes that are hashed at a time."""


@dataclass(frozen=True)
class LatentFile:
    """Latents by sample id.

    Attributes:
        path: the file.
        shape: shape of the values: ``[n, d]``, ``[n, tokens, d]``, ``[n, C, H, W]`` or ``[n, C, T, H, W]``.
        dtype: dtype of the values: float16, bfloat16, float32 or float64.
        table: id, label, group and attributes of each row.
        read: function that reads the values.
        notes: notes for the user: which columns were used, and which were left alone.
        columns: those of ``labels`` and ``groups`` that the file has.
        other_ids: columns of text that could hold ids too.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: str
    table: Table
    read: Callable[[], np.ndarray]
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    other_ids: tuple[str, ...] = ()

    @cached_property
    def values(self) -> np.ndarray:
        """Every value, memory-mapped if the format allows; bfloat16 as its bits, in uint16.

        Raises:
            ForesightError: the file is damaged.
        """
        with reading(self.path):
            return self.read()

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of dtype, ids and shape as JSON, then of the values in row order, little-endian.

        It does not depend on the format or on the labels, and is computed without the whole file in memory.

        Raises:
            ForesightError: the file is damaged.
        """
        header = {"dtype": self.dtype, "ids": self.table.ids, "shape": list(self.shape)}
        total = hashlib.sha256(_json(header))
        for rows in self.chunks():
            total.update(np.ascontiguousarray(rows, rows.dtype.newbyteorder("<")).tobytes())
        return total.hexdigest()

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield the values in row order, some rows at a time."""
        step = max(1, CHUNK // row_bytes(self.shape, self.dtype))
        for start in range(0, self.shape[0], step):
            yield self.values[start : start + step]

    @property
    def ids_sha256(self) -> str:
        """SHA-256 of the ids in row order, as a JSON list."""
        return hashlib.sha256(_json(self.table.ids)).hexdigest()


About = tuple[tuple[str, ...], tuple[str, ...]]
"""Notes on a table for the user, and columns of text that could hold ids too."""


def latent_file(
    path: Path,
    shape: Sequence[int],
    dtype: str,
    columns: Columns,
    read: Callable[[], np.ndarray],
    about: About = ((), ()),
) -> LatentFile:
    """Return a :class:`LatentFile` of values that have passed :func:`check_values`.

    Raises:
        ForesightError: see :func:`table_of`.
    """
    notes, other_ids = about
    has = tuple(role for role in ("labels", "groups") if getattr(columns, role) is not None)
    return LatentFile(path, tuple(shape), dtype, table_of(path, columns, shape[0]), read, notes, has, other_ids)


def check_values(path: Path, shape: Sequence[int], dtype: str, line: Callable[[], str | None]) -> None:
    """Refuse values of a dtype or shape that latents do not have.

    Args:
        path: the file.
        shape: shape of the values.
        dtype: name of the dtype of the values.
        line: returns the line to type that converts them to floats, or None if there is no such line.

    Raises:
        ForesightError: the dtype or the shape does not fit.
    """
    if dtype not in ITEMSIZE:
        kind = "Python objects" if dtype == "object" else "records" if dtype.startswith("void") else dtype
        remedy = line()
        way = f"Type: {remedy}" if remedy else "Unpack them with the program that wrote them, and save them as float32"
        raise ForesightError(f"{path}: values are {kind}: wanted floats of 16, 32 or 64 bits. {way}")
    if len(shape) not in (2, 3, 4, 5):
        raise ForesightError(
            f"{path}: values has shape {list(shape)}: wanted [n, d], [n, tokens, d], [n, C, H, W] or [n, C, T, H, W]"
        )
    if 0 in shape:
        raise ForesightError(f"{path}: values has shape {list(shape)}: it is empty")


def row_bytes(shape: Sequence[int], dtype: str) -> int:
    """Return the bytes of the values of one row."""
    return ITEMSIZE[dtype] * int(np.prod(shape[1:]))


@contextmanager
def reading(path: Path, *faults: type[Exception]) -> Iterator[None]:
    """Turn errors of a library that reads ``path`` into one-line messages.

    Args:
        path: the file.
        faults: exceptions that the library raises for bytes that it cannot parse.

    Raises:
        ForesightError: the disk fails, or the file is damaged.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            raise ForesightError(f"cannot read {path}: {os.strerror(error.errno)}") from None
        raise _not_whole(path) from error  # pyarrow raises it for bytes that it cannot parse
    except faults as error:
        raise _not_whole(path) from error


def _not_whole(path: Path) -> ForesightError:
    return ForesightError(
        f"{path} is not a whole {path.suffix.lower()} file: it was cut short, damaged, or is of another kind. "
        "Save it again"
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
