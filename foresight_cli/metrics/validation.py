"""Checks of the inputs of metrics, their conversion to float64, and centring."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from foresight_cli.errors import ForesightError

Matrix: TypeAlias = torch.Tensor | npt.NDArray[Any]
Labels: TypeAlias = Sequence[Hashable] | npt.NDArray[Any] | torch.Tensor

_FLOATS = (np.float16, np.float32, np.float64)
_KEPT = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

# 2**24 float64 numbers, 128 MiB: a tile large enough for BLAS, small enough that a few of them fit anywhere.
TILE_NUMBERS = 1 << 24


def as_matrix(x: Matrix, name: str, *, measure: str, min_rows: int, first_row: int = 0) -> torch.Tensor:
    """Return ``x`` as a float64 tensor ``[n, d]`` on the same device, detached from any graph.

    Arguments and errors as for `checked_matrix`.
    """
    return checked_matrix(x, name, measure=measure, min_rows=min_rows, first_row=first_row).to(torch.float64)


def checked_matrix(x: Matrix, name: str, *, measure: str, min_rows: int, first_row: int = 0) -> torch.Tensor:
    """Return ``x`` as a tensor ``[n, d]`` on the same device, detached from any graph; other types become float64.

    Floating types of 16 to 64 bits are kept. Apple's MPS has no float64, so such tensors are moved to the CPU.

    Args:
        x: a tensor or array ``[n, d]`` of real numbers.
        name: the name of ``x`` in error messages.
        measure: the name of the calling function in error messages.
        min_rows: the smallest n for which the measure is defined.
        first_row: the number of the first row in messages, for one batch of many.

    Raises:
        ForesightError: ``x`` is not a matrix of real, finite numbers with at least ``min_rows`` rows.
    """
    tensor = _as_tensor(x, name)
    if tensor.ndim != 2 or tensor.shape[1] == 0:
        raise ForesightError(f"{name} has shape {list(tensor.shape)}: {measure} wants [n, d], one row a sample")
    if len(tensor) < min_rows:
        raise ForesightError(f"{name} has {len(tensor)} rows: {measure} wants at least {min_rows}")
    # The sum takes a tenth of the time of checking each number; but it may overflow for finite numbers, too.
    if not tensor.sum().isfinite() and not (finite := torch.isfinite(tensor)).all():
        rows = (torch.nonzero(~finite.all(dim=1)).flatten() + first_row).tolist()
        raise ForesightError(f"{name} has NaN or Inf in {row_list(rows)}: {measure} wants finite numbers")
    return tensor


def as_pair(x: Matrix, y: Matrix, *, measure: str, min_rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ``x [n, d1]`` and ``y [n, d2]`` as float64 tensors on the device of ``x``.

    Raises:
        ForesightError: one of them is not a valid matrix, or they differ in their number of rows.
    """
    first = as_matrix(x, "x", measure=measure, min_rows=min_rows)
    second = as_matrix(y, "y", measure=measure, min_rows=min_rows)
    if len(first) != len(second):
        raise mismatched_rows(len(first), len(second), measure)
    return first, second.to(first.device)


def mismatched_rows(first: int, second: int, measure: str) -> ForesightError:
    """Return the error for two sides with different numbers of rows."""
    return ForesightError(f"x has {first} rows and y has {second}: {measure} wants the same samples in the same order")


def as_codes(labels: Labels, n: int, name: str) -> npt.NDArray[np.int64]:
    """Return one integer per row ``[n]``, equal where the labels are equal, from 0 in order of first appearance.

    Raises:
        ForesightError: there are not ``n`` labels, or some are None or NaN.
    """
    values = list(labels.tolist()) if isinstance(labels, torch.Tensor | np.ndarray) else list(labels)
    if len(values) != n:
        raise ForesightError(f"{name} has {len(values)} entries for {n} rows")
    # NaN is the one value that differs from itself.
    missing = [row for row, value in enumerate(values) if value is None or value != value]
    if missing:
        raise ForesightError(f"{name} has no value in {row_list(missing)}")
    codes: dict[Hashable, int] = {}
    return np.array([codes.setdefault(value, len(codes)) for value in values], dtype=np.int64)


def centre(x: torch.Tensor) -> torch.Tensor:
    """Subtract the column means from ``x [n, d]``; a constant column becomes exact zeros.

    The first row is subtracted first: the mean of n equal numbers can differ from them in the last bit, and a constant
    column would become noise that a later division by its norm amplifies.
    """
    shifted = x - x[0]
    return shifted.sub_(shifted.mean(dim=0))


def column_means(x: torch.Tensor) -> torch.Tensor:
    """Return the means ``[d]`` that `centre` subtracts, exact for constant columns."""
    means: torch.Tensor = x[0] + (x - x[0]).mean(dim=0)
    return means


def centre_varying(x: torch.Tensor, name: str, *, measure: str) -> torch.Tensor:
    """Return ``x [n, d]`` centred, after a check that its rows vary.

    Raises:
        ForesightError: all rows are equal.
    """
    centred = centre(x)
    if not centred.any():
        raise ForesightError(f"{name} is constant: all its {len(x)} rows are equal, and {measure} wants rows that vary")
    return centred


def check_choice(value: str, choices: Sequence[str], name: str) -> None:
    """Check that ``value`` is one of ``choices``.

    Raises:
        ForesightError: it is not.
    """
    if value not in choices:
        raise ForesightError(f"{name}={value!r}: wanted one of {', '.join(choices)}")


def check_count(value: int, name: str, *, low: int, high: int, why: str = "") -> None:
    """Check that an integer is within ``low..high``.

    Raises:
        ForesightError: it is not.
    """
    if not low <= value <= high:
        raise ForesightError(f"{name}={value}: wanted {low} to {high}{why}")


def row_list(rows: Sequence[int]) -> str:
    """Return ``row 3`` or ``rows 3, 7 and 12 more``: the first ten by their index."""
    shown = ", ".join(str(row) for row in rows[:10])
    more = f" and {len(rows) - 10} more" if len(rows) > 10 else ""
    return f"row{'s' if len(rows) > 1 else ''} {shown}{more}"


def _as_tensor(x: Matrix, name: str) -> torch.Tensor:
    if isinstance(x, torch.Tensor):
        if x.is_complex():
            raise ForesightError(f"{name} has dtype {x.dtype}: wanted real numbers")
        moved = x.detach().to("cpu" if x.device.type == "mps" else x.device)
        return moved if moved.dtype in _KEPT else moved.to(torch.float64)
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise ForesightError(f"{name} has dtype {array.dtype}: wanted real numbers")
    array = np.ascontiguousarray(array, dtype=array.dtype if array.dtype in _FLOATS else np.float64)
    # torch warns about read-only memory (a memory map, a view of a file): copy it.
    return torch.from_numpy(array if array.flags.writeable else array.copy())
