"""Linear CKA of two spaces, with the part that a third space explains taken out."""

from __future__ import annotations

import math
from collections.abc import Hashable

import numpy as np
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.cka import linear_cka
from foresight_cli.metrics.validation import Labels, Matrix, as_codes, as_matrix, as_pair, centre_varying

# 1 - r^2 below this is rounding error: nothing of the space is left.
_NOTHING_LEFT = 1e-10


def partial_cka(x: Matrix, y: Matrix, given: Matrix | Labels, *, debiased: bool = True) -> float:
    """Linear CKA of ``x [n, d1]`` and ``y [n, d2]`` with the similarity structure of ``given`` taken out: -1 to 1.

    (r_xy - r_xc r_yc) / sqrt((1 - r_xc^2)(1 - r_yc^2)), each r the CKA of two of the three: the correlation of the
    centred Gram matrices of x and y after both are regressed on that of ``given``. It takes out one multiple of one
    similarity matrix; other effects of a label stay (`deconfounded_cka` takes out the label means).

    Args:
        x: first rows.
        y: second rows.
        given: the confounder: a matrix ``[n, d]`` (pixels, a histogram) or one label per row. An array or tensor is a
            matrix if it has two dimensions and labels if it has one; any other sequence is labels if its entries are
            hashable (words, numbers, tuples) and a matrix if not (lists of numbers).
        debiased: use the unbiased HSIC in every r.

    Raises:
        ForesightError: a matrix is invalid or constant, labels are all equal or all different, ``given`` has other rows
            or only equal distances, or it determines x or y entirely (CKA 1).

    Source: Cui et al. 2022, arXiv 2202.00095; on U-centred Gram matrices it is the partial distance correlation of
    Szekely and Rizzo 2014, with squared Euclidean distances.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> kind = rng.integers(0, 3, 200)
        >>> x, y = (np.eye(3)[kind] * 4 + rng.standard_normal((200, 3)) for _ in range(2))
        >>> round(linear_cka(x, y), 2), round(partial_cka(x, y, kind), 2)
        (0.71, -0.02)
    """
    first, second = as_pair(x, y, measure="partial_cka", min_rows=4 if debiased else 2)
    for values, name in ((first, "x"), (second, "y")):
        centre_varying(values, name, measure="partial_cka")
    third = _confounder(given, len(first))
    xy = linear_cka(first, second, debiased=debiased)
    try:
        xc, yc = (linear_cka(values, third, debiased=debiased) for values in (first, second))
    except ForesightError as error:
        # The CKA of x and y has passed, and given varies: this is the only error that is left.
        raise ForesightError(
            "given has rows that are all equally far apart: partial_cka wants distances that differ"
        ) from error
    for name, r in (("x", xc), ("y", yc)):
        if 1 - r * r < _NOTHING_LEFT:
            raise ForesightError(
                f"given has the distances of {name}, up to scale (their CKA is 1): no differences of {name} "
                "are left to compare; leave given out or give another"
            )
    return (xy - xc * yc) / (math.sqrt(1 - xc * xc) * math.sqrt(1 - yc * yc))


def _confounder(given: Matrix | Labels, n: int) -> torch.Tensor:
    """Return ``given`` as a matrix ``[n, d]``: unchanged, or one column per label."""
    if not _are_labels(given):
        values = as_matrix(given, "given", measure="partial_cka", min_rows=1)  # type: ignore[arg-type]
        if len(values) != n:
            raise ForesightError(
                f"given has {len(values)} rows and x has {n}: partial_cka wants the same samples in the same order"
            )
        centre_varying(values, "given", measure="partial_cka")
        return values
    codes = as_codes(given, n, "given")
    count = int(codes.max()) + 1
    if count == 1:
        raise ForesightError("given has 1 different label: there is nothing to take out, use linear_cka")
    if count == n:
        raise ForesightError(
            f"given has {n} different labels in {n} rows: wanted labels that repeat, "
            "or a matrix [n, d] (numbers: given[:, None])"
        )
    return torch.nn.functional.one_hot(torch.from_numpy(codes), count).double()


def _are_labels(given: Matrix | Labels) -> bool:
    if isinstance(given, torch.Tensor | np.ndarray):
        return given.ndim == 1
    return all(isinstance(entry, Hashable) for entry in given)
