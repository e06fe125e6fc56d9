"""Procrustes: what is left of two shapes after the best shift, scale and rotation."""

from __future__ import annotations

import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.validation import Matrix, as_pair, centre_varying


def procrustes_disparity(x: Matrix, y: Matrix, *, components: int | None = 100) -> float:
    """Procrustes disparity of ``x [n, d1]`` and ``y [n, d2]``: 0 for equal shapes, 1 for nothing in common.

    1 - (nuclear norm of X'Y)^2 for centred X and Y of Frobenius norm one, which is SciPy's ``procrustes`` with the
    narrower matrix padded by zero columns. With ``components`` each side is first cut to that many principal
    components; that is cheaper and damps noise, but asks about the leading components only: use None for the whole
    space. Where d > n almost any shapes align: judge it by a permutation null.

    Raises:
        ForesightError: a matrix is invalid or constant, or ``components`` is below 1.

    Source: Gower 1975; Ding et al. 2021, arXiv 2108.01661, report 2 - 2 nuc instead.

    Example:
        >>> round(procrustes_disparity([[1, 0], [-1, 0], [0, 1], [0, -1]], [[1, 0], [-1, 0], [0, 2], [0, -2]]), 12)
        0.1
    """
    first, second = as_pair(x, y, measure="procrustes_disparity", min_rows=2)
    if components is not None and components < 1:
        raise ForesightError(f"components={components}: wanted at least 1")
    scores = [
        _scores(centre_varying(values, name, measure="procrustes_disparity"), components)
        for values, name in ((first, "x"), (second, "y"))
    ]
    nuclear = torch.linalg.svdvals(scores[0].T @ scores[1]).sum()
    norms = [torch.linalg.vector_norm(score) for score in scores]
    # Rounding can take equal shapes a hair past 1.
    return max(0.0, 1 - float(nuclear / (norms[0] * norms[1])) ** 2)


def _scores(centred: torch.Tensor, components: int | None) -> torch.Tensor:
    """Coordinates of the rows in an orthonormal basis ``[n, r]``: rotated, at most n wide, cut to ``components``."""
    if len(centred) < centred.shape[1]:
        # X' = QR: the columns of R are the rows of X in the basis Q, to the last bit that an eigensolver would lose.
        centred = torch.linalg.qr(centred.T, mode="r").R.T
    if components is None or components >= centred.shape[1]:
        return centred
    axes: torch.Tensor = torch.linalg.eigh(centred.T @ centred).eigenvectors.flip(1)[:, :components]
    return centred @ axes
