"""Procrustes: the difference of two shapes that is left after the best shift, scale and rotation."""

from __future__ import annotations

import math

import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.validation import Matrix, as_pair, centre_varying


def procrustes_disparity(x: Matrix, y: Matrix, *, components: int | None = 100) -> float:
    """Procrustes disparity of ``x [n, d1]`` and ``y [n, d2]``: 0 for equal shapes, 1 for nothing in common.

    1 - nuc^2, with nuc the nuclear norm of X'Y for centred X and Y of Frobenius norm one. It equals SciPy's
    ``procrustes`` with the narrower matrix padded by zero columns. With ``components`` each side is first cut to that
    many principal components. That is cheaper and damps noise, but compares the leading components only: use None for
    the whole space. Where d > n almost any two shapes align: compare with a permutation null.

    Raises:
        ForesightError: a matrix is invalid or constant, or ``components`` is below 1.

    Source: Gower 1975.

    Example:
        >>> round(procrustes_disparity([[1, 0], [-1, 0], [0, 1], [0, -1]], [[1, 0], [-1, 0], [0, 2], [0, -2]]), 12)
        0.1
    """
    if components is not None and components < 1:
        raise ForesightError(f"components={components}: wanted at least 1")
    return 1 - _nuclear_norm(x, y, components, "procrustes_disparity") ** 2


def angular_procrustes(x: Matrix, y: Matrix) -> float:
    """Angle, in radians, between the shapes of ``x [n, d1]`` and ``y [n, d2]``: 0 for equal shapes, at most pi/2.

    arccos nuc, nuc as for `procrustes_disparity` without a cut to components. A metric: it obeys the triangle
    inequality. Angles below about 1e-8 cannot be distinguished from 0.

    Raises:
        ForesightError: a matrix is invalid or constant.

    Source: Williams et al. 2021, arXiv 2110.14739, eq. 6.

    Example:
        >>> round(angular_procrustes([[1, 0], [-1, 0], [0, 1], [0, -1]], [[1, 0], [-1, 0], [0, 2], [0, -2]]), 6)
        0.321751
    """
    return math.acos(_nuclear_norm(x, y, None, "angular_procrustes"))


def procrustes_distance(x: Matrix, y: Matrix) -> float:
    """Squared distance of the shapes of ``x [n, d1]`` and ``y [n, d2]``, each of size one, after the best rotation.

    2 - 2 nuc, nuc as for `procrustes_disparity` without a cut to components: 0 for equal shapes, at most 2.

    Raises:
        ForesightError: a matrix is invalid or constant.

    Source: Ding, Denain, Steinhardt 2021, arXiv 2108.01661.

    Example:
        >>> round(procrustes_distance([[1, 0], [-1, 0], [0, 1], [0, -1]], [[1, 0], [-1, 0], [0, 2], [0, -2]]), 6)
        0.102633
    """
    return 2 - 2 * _nuclear_norm(x, y, None, "procrustes_distance")


def _nuclear_norm(x: Matrix, y: Matrix, components: int | None, measure: str) -> float:
    """Return the nuclear norm of X'Y, X and Y centred and of Frobenius norm one: 0 to 1."""
    first, second = as_pair(x, y, measure=measure, min_rows=2)
    scores = [
        _scores(centre_varying(values, name, measure=measure), components)
        for values, name in ((first, "x"), (second, "y"))
    ]
    nuclear = torch.linalg.svdvals(scores[0].T @ scores[1]).sum()
    norms = [torch.linalg.vector_norm(score) for score in scores]
    # Rounding can take equal shapes slightly past 1.
    return min(1.0, float(nuclear / (norms[0] * norms[1])))


def _scores(centred: torch.Tensor, components: int | None) -> torch.Tensor:
    """Return coordinates of the rows in an orthonormal basis ``[n, r]``: at most n columns, cut to ``components``."""
    if len(centred) < centred.shape[1]:
        # X' = QR: the columns of R are the rows of X in the basis Q, with the last digits that an eigensolver loses.
        centred = torch.linalg.qr(centred.T, mode="r").R.T
    if components is None or components >= centred.shape[1]:
        return centred
    axes: torch.Tensor = torch.linalg.eigh(centred.T @ centred).eigenvectors.flip(1)[:, :components]
    return centred @ axes
