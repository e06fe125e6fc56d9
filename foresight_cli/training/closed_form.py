"""Ridge and reduced-rank maps for pairs that may be larger than memory: sums over blocks, in a few passes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics import Ridge, fit_ridge
from foresight_cli.metrics.linear_algebra import smaller_product, symmetric_eigen
from foresight_cli.metrics.probe import group_error
from foresight_cli.metrics.ridge.leave_one_out import best_penalty, eigen_without_noise
from foresight_cli.metrics.ridge.ridge import PENALTIES, REACH, RidgeFactor
from foresight_cli.metrics.ridge.streamed import StreamedRidge
from foresight_cli.metrics.streaming.probe import ProbePart
from foresight_cli.metrics.validation import centre, column_means
from foresight_cli.training.pairs import Batch, ColumnMoments, Pairs

GIGABYTE = 1e9


class TooLarge(ForesightError):
    """A closed form that does not fit in the allowed memory."""


@dataclass(frozen=True)
class RidgeMap:
    """A ridge map ``y = clamp(x - x_mean, -reach, reach) W + y_mean``; W is computed only on demand.

    Attributes:
        x_mean: ``[d1]``.
        reach: ``[d1]``.
        y_mean: ``[d2]``.
        penalty: chosen by leave-one-out.
        predict: maps raw rows ``[m, d1]`` to ``[m, d2]``.
        narrowed: returns W times a matrix ``[d2, k]``.
    """

    x_mean: torch.Tensor
    reach: torch.Tensor
    y_mean: torch.Tensor
    penalty: float
    predict: Callable[[torch.Tensor], torch.Tensor]
    narrowed: Callable[[torch.Tensor], torch.Tensor]

    @property
    def weight(self) -> torch.Tensor:
        """The weights W ``[d1, d2]``."""
        return self.narrowed(torch.eye(len(self.y_mean), dtype=torch.float64))

    @classmethod
    def of(cls, ridge: Ridge) -> RidgeMap:
        """Return the map of a fitted ridge regression."""
        return cls(ridge.x_mean, ridge.reach, ridge.y_mean, ridge.penalty, ridge.predict, ridge.weight.mm)


def ridge_map(pairs: Pairs, *, memory_gb: float) -> RidgeMap:
    """Fit the ridge map of ``pairs``, its penalty chosen by exact leave-one-out; equal to `fit_ridge` up to rounding.

    Rows that fit in memory in double precision are read at once. Others are added up into the products of the columns,
    ``[d1, d1]`` and ``[d1, d2]``: one pass for the products, one for the leverages of the rows and one for each of the
    two or three penalties that may be the best.

    Raises:
        TooLarge: neither the rows nor the products of their columns fit in ``memory_gb``.
    """
    d1, d2 = pairs.dims
    rows_gb = 8 * 2 * len(pairs) * (d1 + d2) / GIGABYTE
    products_gb = 8 * d1 * (3 * d1 + 2 * d2) / GIGABYTE
    if len(pairs) <= d1 and (not pairs.on_disk or rows_gb <= memory_gb):
        return _dual(*pairs.whole())
    if not pairs.on_disk or rows_gb <= memory_gb:
        return RidgeMap.of(fit_ridge(*pairs.whole()))
    if len(pairs) <= d1 or products_gb > memory_gb:
        least = min(rows_gb, products_gb)
        raise TooLarge(
            f"a closed form of {len(pairs):,} rows from {d1:,} to {d2:,} values takes {least:.2g} GB: allow it with "
            f"memory_gb={math.ceil(least)}, or pool the source with source.pooling=channel_mean"
        )
    return RidgeMap.of(_streamed(pairs))


def _dual(x: torch.Tensor, y: torch.Tensor) -> RidgeMap:
    """Fit by the inner products of the rows, where there are fewer rows than columns."""
    factor, y_mean = RidgeFactor(x, standardize=True), column_means(y)
    targets = centre(y)
    penalty, _ = factor.best_penalty(targets, PENALTIES)

    def predict(rows: torch.Tensor) -> torch.Tensor:
        return factor.predict(factor.project(rows), targets, penalty) + y_mean

    def narrowed(axes: torch.Tensor) -> torch.Tensor:
        return factor.weight(targets @ axes, penalty) / factor.scale[:, None]

    return RidgeMap(factor.mean, factor.reach, y_mean, penalty, predict, narrowed)


def _streamed(pairs: Pairs) -> Ridge:
    """Fit from the sums of the rows; the rows are read again to choose the penalty."""
    sums = ProbePart.zeros(0, 0, *pairs.dims, torch.device("cpu"))
    columns = ColumnMoments()
    for x, y in pairs.blocks():
        sums.add(x, y)
        columns.add(x)
    x_mean, y_mean = sums.sides(sums["origin"] + sums["mean"])
    ridge = StreamedRidge(sums, len(PENALTIES))
    axes, eigenvalues, loadings = ridge.axes
    units = eigenvalues.sqrt()

    def blocks() -> Iterator[Batch]:
        return (((x - x_mean) @ axes / units, y - y_mean) for x, y in pairs.blocks())

    penalties = [multiple * ridge.mean_eigenvalue for multiple in PENALTIES]
    chosen, _ = best_penalty(eigenvalues, loadings / units[:, None], sums.squared_y, len(pairs), blocks, penalties)
    weight = axes @ (loadings / (eigenvalues + penalties[chosen])[:, None])
    weight[columns.variance == 0] = 0  # exactly, without the rounding of the eigenvectors
    return Ridge(weight, x_mean, y_mean, REACH * columns.farthest, penalties[chosen])


@dataclass(frozen=True)
class RankPath:
    """R2 of reduced-rank maps on the validation rows.

    Attributes:
        axes: principal axes of the ridge map's fitted values ``[d2, k]``, the strongest first.
        ranks: the ranks tried, ascending.
        residual: squared error of each validation row under each rank ``[len(ranks), v]``.
        total: squared distance of each validation row from the training mean ``[v]``.
    """

    axes: torch.Tensor
    ranks: list[int]
    residual: np.ndarray
    total: np.ndarray

    def smallest(self, allowed: int, codes: np.ndarray) -> int:
        """Return the smallest rank, at most ``allowed``, with R2 within one standard error (by groups) of the best."""
        may = [i for i, rank in enumerate(self.ranks) if rank <= allowed]
        best = min(may, key=lambda i: (float(self.residual[i].sum()), self.ranks[i]))
        for i in may:
            more = self.residual[i] - self.residual[best]
            loss = float(more.sum() / self.total.sum())
            if loss <= group_error(more - loss * self.total, self.total, codes):
                return self.ranks[i]
        return self.ranks[best]


def rank_path(ridge: RidgeMap, train: Pairs, validation: Pairs) -> RankPath:
    """Score ranks 1, 2, 4 ... of ``ridge`` on the validation rows, along the principal axes of its fitted values.

    Source: Izenman 1975; Mukherjee and Zhu 2011.
    """
    axes = _axes(ridge, train)
    ranks = [2**i for i in range(axes.shape[1].bit_length()) if 2**i < axes.shape[1]] + [axes.shape[1]]
    residual: list[np.ndarray] = []
    total: list[np.ndarray] = []
    for x, y in validation.blocks():
        truth = y - ridge.y_mean
        shift = (ridge.predict(x) - ridge.y_mean) @ axes
        # The axes are orthogonal, so the gains of the axes add up.
        gain = (2 * shift * (truth @ axes) - shift.square()).cumsum(dim=1)
        total.append(truth.square().sum(dim=1).numpy())
        residual.append(total[-1][None] - gain[:, [rank - 1 for rank in ranks]].T.numpy())
    return RankPath(axes, ranks, np.concatenate(residual, axis=1), np.concatenate(total))


def _axes(ridge: RidgeMap, train: Pairs) -> torch.Tensor:
    """Return the principal axes of the fitted values: their singular vectors on the target's side, ``[d2, k]``."""
    d1 = train.dims[0]
    if len(train) <= d1:
        return _right_vectors(ridge.predict(train.whole()[0]) - ridge.y_mean)
    scatter = torch.zeros(d1, d1, dtype=torch.float64)
    for x, _ in train.blocks():
        centred = x - ridge.x_mean
        scatter.addmm_(centred.T, centred)
    eigenvalues, vectors = symmetric_eigen(scatter)
    # These d1 rows have the same scatter matrix as all fitted values.
    return _right_vectors((vectors * eigenvalues.clamp_min(0).sqrt()).T @ ridge.weight)


def _right_vectors(rows: torch.Tensor) -> torch.Tensor:
    """Return the right singular vectors of ``rows [m, d]``, except rounding noise, in columns, the strongest first."""
    eigenvalues, vectors = eigen_without_noise(smaller_product(rows))
    return (rows.T @ (vectors / eigenvalues.sqrt()) if len(rows) < rows.shape[1] else vectors).flip(1)
