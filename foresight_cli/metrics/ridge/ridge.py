"""Ridge regression with many outputs: one eigendecomposition for every penalty, chosen by exact leave-one-out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.linear_algebra import smaller_product
from foresight_cli.metrics.ridge.solver import RidgeSolver
from foresight_cli.metrics.validation import Matrix, as_matrix, as_pair, centre, column_means

REACH = 2.0
"""Limit for new values, as a multiple of the farthest training value of their column; values beyond are cut.

Without it, a column that hardly varies in training (a histogram bin that one picture touches) becomes huge in the first
new row where it does vary, and that one row outweighs all others. Ordinary columns never get near the limit.
"""

# Multiples of the mean eigenvalue of the training Gram matrix: three decades to either side of it.
PENALTIES: tuple[float, ...] = tuple(float(value) for value in np.logspace(-3, 3, 13))


@dataclass(frozen=True)
class Ridge:
    """A fitted linear map in raw units: ``y = clamp(x - x_mean, -reach, reach) @ weight + y_mean``.

    Attributes:
        weight: ``[d1, d2]``.
        x_mean: ``[d1]``.
        y_mean: ``[d2]``.
        reach: `REACH` times the farthest training value from the mean ``[d1]``.
        penalty: lambda, for the standardised columns.
    """

    weight: torch.Tensor
    x_mean: torch.Tensor
    y_mean: torch.Tensor
    reach: torch.Tensor
    penalty: float

    def predict(self, x: Matrix) -> torch.Tensor:
        """Predict ``[m, d2]`` for rows ``x [m, d1]``, on the device of the weights.

        Raises:
            ForesightError: ``x`` is invalid or has another number of columns than the training rows had.
        """
        rows = as_matrix(x, "x", measure="predict", min_rows=1).to(self.weight.device)
        if rows.shape[1] != len(self.weight):
            raise ForesightError(f"x has {rows.shape[1]} columns: this ridge was fitted on {len(self.weight)}")
        return (rows - self.x_mean).clamp(-self.reach, self.reach) @ self.weight + self.y_mean


def fit_ridge(
    x: Matrix,
    y: Matrix,
    penalties: Sequence[float] | None = None,
    *,
    standardize: bool = True,
    reach: float = REACH,
) -> Ridge:
    """Fit the ridge map from ``x [n, d1]`` to ``y [n, d2]`` whose penalty has the smallest leave-one-out error.

    Minimises |Yc - Z W|^2 + lambda |W|^2, Z the centred and (``standardize``) unit-variance columns of x, with an
    unpenalised intercept. One lambda for all outputs, from ``penalties`` times the mean eigenvalue tr(ZZ')/n; the
    leave-one-out residuals are exact, (y - yhat)/(1 - h_ii) with h_ii including 1/n for the intercept. Constant columns
    get weight 0, and new values are cut at ``reach`` times the farthest training value (infinity: textbook ridge). If
    all of x is constant, so is the map. Uses ZZ' ``[n, n]`` for d1 > n and Z'Z otherwise.

    Raises:
        ForesightError: a matrix is invalid, has fewer than 3 rows, or a penalty is not above 0.

    Source: Hoerl and Kennard 1970; leave-one-out: Allen's PRESS, 1974. Equals ``sklearn.linear_model.RidgeCV``.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).standard_normal((100, 3))
        >>> ridge = fit_ridge(x, x[:, :1] * 2 + 5, penalties=[1e-9])
        >>> [round(float(w), 6) for w in ridge.weight[:, 0]], round(float(ridge.predict([[1, 0, 0]])), 6)
        ([2.0, 0.0, 0.0], 7.0)
    """
    first, second = as_pair(x, y, measure="fit_ridge", min_rows=3)
    factor = RidgeFactor(first, standardize=standardize, reach=reach)
    targets = centre(second)
    penalty, _ = factor.best_penalty(targets, check_penalties(penalties))
    weight = factor.weight(targets, penalty) / factor.scale[:, None]
    return Ridge(weight, factor.mean, column_means(second), factor.reach, penalty)


def check_penalties(penalties: Sequence[float] | None) -> tuple[float, ...]:
    """Return the multiples to try; `PENALTIES` for None.

    Raises:
        ForesightError: the list is empty, or a multiple is not above 0.
    """
    chosen = PENALTIES if penalties is None else tuple(float(value) for value in penalties)
    if not chosen or not all(0 < value < float("inf") for value in chosen):
        raise ForesightError(f"penalties={list(chosen)}: wanted one or more numbers above 0")
    return chosen


def column_scale(centred: torch.Tensor) -> torch.Tensor:
    """Return the divisors ``[d]`` of centred columns ``[m, d]``: standard deviations, or 1 for a constant column."""
    deviation = centred.square().mean(dim=0).sqrt()
    return torch.where(deviation > 0, deviation, 1.0)


class RidgeFactor(RidgeSolver):
    """Standardised training rows, decomposed once: after that every penalty and target takes only a product or two.

    With Z the standardised rows and d > m columns, everything follows from ZZ' ``[m, m]``: its eigenvectors give the
    leave-one-out errors, its Cholesky factor the predictions. With fewer columns, everything follows from Z'Z.

    Args:
        x: training rows ``[m, d]``.
        standardize: divide columns by their standard deviation.
        reach: new values are cut at this multiple of the farthest training value.

    Attributes:
        mean: column means ``[d]``.
        reach: largest distance from the mean at which a new value is not cut ``[d]``.
        scale: divisors of the columns ``[d]``; 1 for constant ones.
    """

    def __init__(self, x: torch.Tensor, *, standardize: bool, reach: float = REACH) -> None:
        shifted = x - x[0]
        offset = shifted.mean(dim=0)
        self.mean = x[0] + offset
        centred = shifted.sub_(offset)
        self.reach = reach * centred.abs().amax(dim=0) if math.isfinite(reach) else torch.full_like(centred[0], reach)
        self.scale = column_scale(centred) if standardize else torch.ones_like(centred[0])
        self._rows = centred.div_(self.scale)
        self._dual = len(x) < x.shape[1]
        super().__init__(smaller_product(self._rows), None if self._dual else self._rows)

    def project(self, x: torch.Tensor) -> torch.Tensor:
        """Prepare new rows ``[t, d]`` for `predict`: products with the training rows, or standardised rows."""
        standardised = (x - self.mean).clamp_(-self.reach, self.reach).div_(self.scale)
        return standardised.mm(self._rows.T) if self._dual else standardised

    def predict(self, projected: torch.Tensor, targets: torch.Tensor, penalty: float) -> torch.Tensor:
        """Predict ``[t, d2]`` for projected rows, about the mean of the centred ``targets [m, d2]``."""
        if not self._dual:
            return projected.mm(self.weight(targets, penalty))
        return self.solve(projected.T, penalty).T.mm(targets)

    def weight(self, targets: torch.Tensor, penalty: float) -> torch.Tensor:
        """Return the weights ``[d, d2]`` of the standardised columns."""
        if self._dual:
            return self._rows.T.mm(self.solve(targets, penalty))
        return self.solve(self._rows.T.mm(targets), penalty)
