"""Ridge regression with many outputs: one eigendecomposition, every penalty, exact leave-one-out choice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.linear_algebra import smaller_product, symmetric_eigen
from foresight_cli.metrics.validation import Matrix, as_matrix, as_pair, centre, column_means

REACH = 2.0
"""How far, in units of the farthest training value of a column, a new value counts; beyond it is cut.

A column that hardly varies in training (a histogram bin that one picture touches) is otherwise blown up in the first
new row where it does vary, and that one row outweighs all others. Ordinary columns never reach so far.
"""

# Multiples of the mean eigenvalue of the training Gram: six decades around "as much shrinkage as signal".
PENALTIES: tuple[float, ...] = tuple(float(value) for value in np.logspace(-3, 3, 13))


# From more training rows on, leave-one-out errors are compared in single precision, at twice the speed.
_EXACT_ROWS = 500


@dataclass(frozen=True)
class Ridge:
    """A fitted linear map in raw units: ``y = clamp(x - x_mean, -reach, reach) @ weight + y_mean``.

    Attributes:
        weight: ``[d1, d2]``.
        x_mean: ``[d1]``.
        y_mean: ``[d2]``.
        reach: `REACH` times the farthest training value from the mean ``[d1]``.
        penalty: lambda, in units of the squared standardised columns.
    """

    weight: torch.Tensor
    x_mean: torch.Tensor
    y_mean: torch.Tensor
    reach: torch.Tensor
    penalty: float

    def predict(self, x: Matrix) -> torch.Tensor:
        """Predictions ``[m, d2]`` for rows ``x [m, d1]``, on the device of the weights.

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
    """The ridge map from ``x [n, d1]`` to ``y [n, d2]`` whose penalty has the smallest leave-one-out error.

    Minimises |Yc - Z W|^2 + lambda |W|^2, Z the centred and (``standardize``) unit-variance columns of x, with an
    unpenalised intercept. One lambda for all outputs, from ``penalties`` times the mean eigenvalue tr(ZZ')/n; the
    leave-one-out residuals are exact, (y - yhat)/(1 - h_ii) with h_ii including 1/n for the intercept. Constant columns
    get weight 0, and new values count up to ``reach`` times the farthest of training (infinity: textbook ridge). If all
    of x is constant, so is the map. Works on ZZ' ``[n, n]`` for d1 > n and on Z'Z otherwise.

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
    weight = factor.axes() @ factor.coefficients(targets, penalty) / factor.scale[:, None]
    return Ridge(weight, factor.mean, column_means(second), factor.reach, penalty)


def check_penalties(penalties: Sequence[float] | None) -> tuple[float, ...]:
    """The multiples to try; `PENALTIES` for None.

    Raises:
        ForesightError: there is none, or one is not above 0.
    """
    chosen = PENALTIES if penalties is None else tuple(float(value) for value in penalties)
    if not chosen or not all(0 < value < float("inf") for value in chosen):
        raise ForesightError(f"penalties={list(chosen)}: wanted one or more numbers above 0")
    return chosen


def column_scale(centred: torch.Tensor) -> torch.Tensor:
    """What to divide centred columns ``[m, d]`` by: their standard deviation, or 1 where a column is constant."""
    deviation = centred.square().mean(dim=0).sqrt()
    return torch.where(deviation > 0, deviation, 1.0)


class RidgeFactor:
    """The eigendecomposition of standardised training rows, after which every penalty and target costs one product.

    With Z = U S V' the prediction for standardised rows Z_new is ``(Z_new V S) ((U'Yc) / (S^2 + lambda))``.

    Args:
        x: training rows ``[m, d]``.
        standardize: divide columns by their standard deviation.
        reach: new values count up to so many times the farthest of training.

    Attributes:
        mean: column means ``[d]``.
        reach: how far from the mean a new value counts ``[d]``.
        scale: what columns are divided by ``[d]``; 1 for constant ones.
        mean_eigenvalue: tr(ZZ')/m, the unit of penalties; 1 if all of x is constant.
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
        gram = smaller_product(self._rows)
        self.mean_eigenvalue = float(gram.trace()) / len(x) or 1.0
        eigenvalues, vectors = symmetric_eigen(gram)
        # Directions of rounding noise, among them the one that centring removed.
        kept = eigenvalues > eigenvalues[-1] * len(gram) * torch.finfo(torch.float64).eps
        self._eigenvalues, self._vectors = eigenvalues[kept], vectors[:, kept]
        roots = self._eigenvalues.sqrt()
        self._left = self._vectors if self._dual else self._rows @ (self._vectors / roots)

    def axes(self) -> torch.Tensor:
        """V S ``[d, r]``: what standardised rows are multiplied by."""
        return self._rows.T.mm(self._vectors) if self._dual else self._vectors.mul(self._eigenvalues.sqrt())

    def project(self, x: torch.Tensor) -> torch.Tensor:
        """New rows ``[t, d]`` as ``Z_new V S [t, r]``, without forming V when it is the large one."""
        standardised = (x - self.mean).clamp_(-self.reach, self.reach).div_(self.scale)
        if self._dual:
            return standardised.mm(self._rows.T).mm(self._vectors)
        return standardised.mm(self.axes())

    def coefficients(self, targets: torch.Tensor, penalty: float) -> torch.Tensor:
        """(U'Yc) / (S^2 + lambda) ``[r, d2]`` for centred ``targets [m, d2]``."""
        shrunk: torch.Tensor = self._left.T.mm(targets) / (self._eigenvalues + penalty)[:, None]
        return shrunk

    def best_penalty(self, targets: torch.Tensor, multiples: Sequence[float]) -> tuple[float, float]:
        """The penalty among ``multiples`` of the mean eigenvalue with the smallest leave-one-out squared error.

        Beside it, R2 on the training rows themselves; 0 for constant targets.

        The error divides each row's squared residual by (1 - h_i)^2. The sum of the residuals and the range of the h_i
        are cheap for every penalty, and bound its error from both sides: only penalties that may be the best, one or
        two as a rule, are worked out.
        """
        penalties = [multiple * self.mean_eigenvalue for multiple in multiples]
        loadings = self._left.T @ targets
        shares = self._eigenvalues[:, None] / (self._eigenvalues[:, None] + self._tensor(penalties))
        kept = 1 - 1 / len(targets) - self._left.square() @ shares  # 1 - h_i [m, penalties]
        explained = loadings.square().sum(dim=1) @ (2 * shares - shares.square())
        total = float(targets.square().sum())
        residual = (total - explained).clamp_min(0)
        least = (residual / kept.amax(dim=0).square()).tolist()
        best, chosen = math.inf, 0
        for index in np.argsort(least, kind="stable").tolist() if len(penalties) > 1 else ():
            # A bound is a sum in another order: it may exceed what it bounds by rounding.
            if least[index] * (1 - 1e-9) > best:
                break
            error = self._left_out_error(targets, loadings, shares[:, index])
            if error < best:
                best, chosen = error, index
        return penalties[chosen], float(explained[chosen]) / total if total else 0.0

    def _left_out_error(self, targets: torch.Tensor, loadings: torch.Tensor, shares: torch.Tensor) -> float:
        kept = 1 - 1 / len(targets) - self._left.square() @ shares
        shrunk = self._left * shares
        if len(targets) > _EXACT_ROWS:  # to tell penalties apart, seven digits will do
            shrunk, targets, loadings = shrunk.float(), targets.float(), loadings.float()
        residual = torch.addmm(targets, shrunk, loadings, alpha=-1)
        return float((residual.square().sum(dim=1) / kept.square()).sum())

    def _tensor(self, numbers: Sequence[float]) -> torch.Tensor:
        return torch.tensor(numbers, dtype=torch.float64, device=self._left.device)
