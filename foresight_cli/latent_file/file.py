"""An opened file of latents, whatever its format."""

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
        path: where they are.
        shape: of the values: ``[n, d]``, ``[n, tokens, d]``, ``[n, C, H, W]`` or ``[n, C, T, H, W]``.
        dtype: of the values: float16, bfloat16, float32 or float64.
        table: id, label, group and attributes of each row.
        read: how the values are read.
        notes: what to tell the user of the columns: which were taken, and which were left alone.
        columns: of ``labels`` and ``groups``, those that the file has.
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
        """Every value, mapped from the file where the format allows; bfloat16 as its bits, in uint16.

        Raises:
            ForesightError: the file is damaged.
        """
        with reading(self.path):
            return self.read()

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of dtype, ids and shape as JSON, then of the values in row order, little-endian.

        It is the same in every format and whatever the labels are, and a 7 GB file need not fit in memory for it.

        Raises:
            ForesightError: the file is damaged.
        """
        said = {"dtype": self.dtype, "ids": self.table.ids, "shape": list(self.shape)}
        total = hashlib.sha256(_json(said))
        for rows in self.chunks():
            total.update(np.ascontiguousarray(rows, rows.dtype.newbyteorder("<")).tobytes())
        return total.hexdigest()

    def chunks(self) -> Iterator[np.ndarray]:
        """The values in row order, some at a time."""
        step = max(1, CHUNK // row_bytes(self.shape, self.dtype))
        for start in range(0, self.shape[0], step):
            yield self.values[start : start + step]

    @property
    def ids_sha256(self) -> str:
        """SHA-256 of the ids in row order, as a JSON list."""
        return hashlib.sha256(_json(self.table.ids)).hexdigest()


About = tuple[tuple[str, ...], tuple[str, ...]]
"""What to tell of a table: notes for the user, and columns of text that could hold ids too."""


def latent_file(
    path: Path,
    shape: Sequence[int],
    dtype: str,
    columns: Columns,
    read: Callable[[], np.ndarray],
    about: About = ((), ()),
) -> LatentFile:
    """A :class:`LatentFile` of values that :func:`check_values` has passed.

    Raises:
        ForesightError: see :func:`table_of`.
    """
    notes, other_ids = about
    has = tuple(role for role in ("labels", "groups") if getattr(columns, role) is not None)
    return LatentFile(path, tuple(shape), dtype, table_of(path, columns, shape[0]), read, notes, has, other_ids)


def check_values(path: Path, shape: Sequence[int], dtype: str, line: Callable[[], str | None]) -> None:
    """Refuse values of a dtype or shape that latents do not have.

    Args:
        path: of the file.
        shape: of the values.
        dtype: of the values, by its name.
        line: what to type to make floats of them, None where no line does.

    Raises:
        ForesightError: what they are, and what was wanted.
    """
    if dtype not in ITEMSIZE:
        kind = "Python objects" if dtype == "object" else "records" if dtype.startswith("void") else dtype
        remedy = line()
        way = f"Type: {remedy}" if remedy else "Unpack them with what wrote them, and save them as float32"
        raise ForesightError(f"{path}: values are {kind}: wanted floats of 16, 32 or 64 bits. {way}")
    if len(shape) not in (2, 3, 4, 5):
        raise ForesightError(
            f"{path}: values has shape {list(shape)}: wanted [n, d], [n, tokens, d], [n, C, H, W] or [n, C, T, H, W]"
        )
    if 0 in shape:
        raise ForesightError(f"{path}: values has shape {list(shape)}: there is nothing in it")


def row_bytes(shape: Sequence[int], dtype: str) -> int:
    """Bytes of the values of one row."""
    return ITEMSIZE[dtype] * int(np.prod(shape[1:]))


@contextmanager
def reading(path: Path, *faults: type[Exception]) -> Iterator[None]:
    """Have a library that cannot read ``path`` say so in one line.

    Args:
        path: of the file.
        faults: what the library raises at bytes that it can make no sense of.

    Raises:
        ForesightError: the disk or the bytes are at fault.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            raise ForesightError(f"cannot read {path}: {os.strerror(error.errno)}") from None
        raise _not_whole(path) from error  # pyarrow says it so
    except faults as error:
        raise _not_whole(path) from error


def _not_whole(path: Path) -> ForesightError:
    return ForesightError(
        f"{path} is not a whole {path.suffix.lower()} file: it was cut short, damaged, or is of another kind. "
        "Save it again"
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
