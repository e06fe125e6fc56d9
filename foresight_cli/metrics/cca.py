"""Canonical correlations: CCA, SVCCA and projection-weighted CCA. Diagnostics only: no verdict depends on them.

With n rows and k1 + k2 dimensions every correlation is 1 once n <= k1 + k2, whatever the data. So all three refuse
fewer than 10 rows per dimension.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.validation import Matrix, as_pair, centre_varying


@dataclass(frozen=True)
class CanonicalCorrelations:
    """The correlations of the best-matched directions of two spaces.

    Attributes:
        mean: mean of the min(k1, k2) correlations.
        first: the largest correlation.
        last: the smallest correlation.
        mean_squared: mean of the squared correlations (Yanai's measure).
        expected_mean_squared: expectation of ``mean_squared`` for unrelated spaces, max(k1, k2)/(n - 1).
        k1: dimensions of x that were used: its numerical rank, or fewer after SVCCA's cut.
        k2: dimensions of y that were used.
        n: number of rows.
        correlations: all correlations, the largest first.
    """

    mean: float
    first: float
    last: float
    mean_squared: float
    expected_mean_squared: float
    k1: int
    k2: int
    n: int
    correlations: tuple[float, ...] = field(repr=False)


@dataclass(frozen=True)
class ProjectionWeighted:
    """Mean canonical correlation, each direction weighted by how much of a space it carries.

    Attributes:
        x: weighted by the columns of x.
        y: weighted by the columns of y.
    """

    x: float
    y: float


def cca(x: Matrix, y: Matrix, *, minimum_rows_per_dimension: float = 10) -> CanonicalCorrelations:
    """Canonical correlations of ``x [n, d1]`` and ``y [n, d2]``; invertible linear maps of either change nothing.

    They are the singular values of Ux'Uy, where the columns of U are an orthonormal basis of each centred matrix. A
    direction is not counted if rounding in the number format of the input could have made it.

    Raises:
        ForesightError: a matrix is invalid or constant, or there are fewer than ``minimum_rows_per_dimension`` rows for
            each of the k1 + k2 dimensions.

    Source: Hotelling 1936, by way of Bjorck and Golub 1973.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).standard_normal((100, 3))
        >>> result = cca(x, x @ [[2, 1], [0, 1], [0, 0]])
        >>> round(result.mean, 12), result.k1, result.k2
        (1.0, 3, 2)
    """
    bases = _bases(x, y, None, "cca", minimum_rows_per_dimension)
    return _summary(torch.linalg.svdvals(bases[0].T @ bases[1]), bases)


def svcca(
    x: Matrix, y: Matrix, *, variance: float = 0.99, minimum_rows_per_dimension: float = 10
) -> CanonicalCorrelations:
    """`cca` of the leading principal components of ``x [n, d1]`` and ``y [n, d2]`` that hold the share ``variance``.

    Raises:
        ForesightError: as for `cca`, or ``variance`` is not within 0 .. 1.

    Source: Raghu et al. 2017, arXiv 1706.05806. Deviation: the share is of the squared singular values, which is
    variance; their tutorial sums the singular values themselves.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).standard_normal((100, 3)) * [9, 5, 0.1]
        >>> result = svcca(x, -x[:, :2])
        >>> result.k1, result.k2, result.mean > 0.999
        (2, 2, True)
    """
    if not 0 < variance <= 1:
        raise ForesightError(f"variance={variance}: wanted a share above 0, at most 1")
    bases = _bases(x, y, variance, "svcca", minimum_rows_per_dimension)
    return _summary(torch.linalg.svdvals(bases[0].T @ bases[1]), bases)


def pwcca(x: Matrix, y: Matrix, *, minimum_rows_per_dimension: float = 10) -> ProjectionWeighted:
    """Projection-weighted CCA of ``x [n, d1]`` and ``y [n, d2]``, in both directions.

    With h_i the canonical variates of x, orthonormal vectors over the rows, the weight of direction i is w_i = sum over
    the columns j of x of |h_i' x_j|, and the value is sum w_i rho_i / sum w_i; likewise for y. The weights depend on
    the axes of the columns: rotating x changes the value, shifting or scaling all of it does not.

    Raises:
        ForesightError: as for `cca`.

    Source: Morcos, Raghu, Bengio 2018, arXiv 1806.05759, eq. 3. Deviation: their published code leaves the whitening
    out of h and takes the columns of x for both directions.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).standard_normal((100, 3))
        >>> result = pwcca(x, x)
        >>> round(result.x, 12), round(result.y, 12)
        (1.0, 1.0)
    """
    first, second = as_pair(x, y, measure="pwcca", min_rows=2)
    bases = _bases(x, y, None, "pwcca", minimum_rows_per_dimension)
    left, correlations, right = torch.linalg.svd(bases[0].T @ bases[1], full_matrices=False)
    correlations = correlations.clamp_max(1)
    values = []
    for columns, name, variates in ((first, "x", bases[0] @ left), (second, "y", bases[1] @ right.T)):
        weights = (variates.T @ centre_varying(columns, name, measure="pwcca")).abs().sum(dim=1)
        values.append(float(weights @ correlations / weights.sum()))
    return ProjectionWeighted(*values)


def _bases(
    x: Matrix, y: Matrix, variance: float | None, measure: str, minimum: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return orthonormal bases ``[n, k1]`` and ``[n, k2]`` of the columns, after a check of the number of rows."""
    if not 0 <= minimum < math.inf:
        raise ForesightError(f"minimum_rows_per_dimension={minimum}: wanted a number from 0")
    first, second = as_pair(x, y, measure=measure, min_rows=2)
    a = _basis(first, "x", measure, variance, _resolution(x))
    b = _basis(second, "y", measure, variance, _resolution(y))
    n, k1, k2 = len(a), a.shape[1], b.shape[1]
    wanted = math.ceil(minimum * (k1 + k2))
    if n < wanted:
        way = "svcca" if variance is None else f"a variance below {variance}"
        raise ForesightError(
            f"{measure} has {n} rows for {k1} + {k2} dimensions: wanted at least {wanted} rows, "
            f"or fewer dimensions by {way}"
        )
    return a, b


def _basis(x: torch.Tensor, name: str, measure: str, variance: float | None, resolution: float) -> torch.Tensor:
    left, singular, _ = torch.linalg.svd(centre_varying(x, name, measure=measure), full_matrices=False)
    # ``rounding``: how far (Frobenius) the rounding of the input moves x at most; ``computing``: the same for the SVD.
    rounding = resolution * float(torch.linalg.vector_norm(x))
    computing = max(x.shape) * torch.finfo(torch.float64).eps * float(singular[0])
    kept = max(1, int((singular > max(rounding, computing)).sum()))
    if variance is not None:
        shares = singular[:kept].square().cumsum(dim=0) / singular.square().sum()
        kept = min(kept, int((shares < variance - 1e-12).sum()) + 1)
    basis: torch.Tensor = left[:, :kept]
    return basis


def _resolution(x: Matrix) -> float:
    """Return the relative spacing (epsilon) of the number format of ``x``; that of float64 for whole numbers."""
    if isinstance(x, torch.Tensor):
        return torch.finfo(x.dtype if x.is_floating_point() else torch.float64).eps
    kind = np.asarray(x).dtype
    return float(np.finfo(kind if kind.kind == "f" else np.float64).eps)


def _summary(correlations: torch.Tensor, bases: tuple[torch.Tensor, torch.Tensor]) -> CanonicalCorrelations:
    # Rounding can take a perfect correlation slightly past 1.
    values = correlations.clamp_max(1)
    n, k1, k2 = len(bases[0]), bases[0].shape[1], bases[1].shape[1]
    return CanonicalCorrelations(
        mean=float(values.mean()),
        first=float(values[0]),
        last=float(values[-1]),
        mean_squared=float(values.square().mean()),
        expected_mean_squared=max(k1, k2) / (n - 1),
        k1=k1,
        k2=k2,
        n=n,
        correlations=tuple(values.tolist()),
    )
