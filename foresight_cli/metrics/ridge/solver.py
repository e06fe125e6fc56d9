"""The shared part of all ridge maps: one product, decomposed once, to choose a penalty and to solve systems."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch

from foresight_cli.metrics.ridge.leave_one_out import LeaveOneOut


class RidgeSolver:
    """Penalties and solutions from ``ZZ' [m, m]`` of centred rows; or from ``Z'Z [d, d]`` together with ``rows``.

    Attributes:
        mean_eigenvalue: tr(ZZ')/m, the unit of penalties; 1 if all of Z is 0.
    """

    def __init__(self, product: torch.Tensor, rows: torch.Tensor | None = None) -> None:
        self._product, self._columns_of = product, rows
        self.mean_eigenvalue = float(product.trace()) / len(product if rows is None else rows) or 1.0
        self._factors: dict[float, torch.Tensor] = {}

    def best_penalty(self, targets: torch.Tensor, multiples: Sequence[float]) -> tuple[float, float]:
        """Return the penalty among ``multiples`` of the mean eigenvalue with the smallest leave-one-out squared error.

        Also return R2 on the training rows themselves; 0 for constant targets.
        """
        penalties = [multiple * self.mean_eigenvalue for multiple in multiples]
        chosen, r2 = self._leave_one_out.best(targets, penalties)
        return penalties[chosen], r2

    def solve(self, right: torch.Tensor, penalty: float) -> torch.Tensor:
        """Return ``(product + penalty)^-1 right``."""
        solved: torch.Tensor = torch.cholesky_solve(right, self._factor(penalty))
        return solved

    @cached_property
    def _leave_one_out(self) -> LeaveOneOut:
        return LeaveOneOut(self._product, self._columns_of)

    def _factor(self, penalty: float) -> torch.Tensor:
        """Return the Cholesky factor of the product with ``penalty`` on its diagonal; the last one is kept."""
        if penalty not in self._factors:
            shifted = self._product.clone()
            # Rounding may make an eigenvalue of a singular product negative, and a tiny penalty may not outweigh it.
            rounding = len(shifted) * torch.finfo(shifted.dtype).eps * float(shifted.diagonal().max())
            shifted.diagonal().add_(max(penalty, rounding))
            self._factors = {penalty: torch.linalg.cholesky(shifted)}
        return self._factors[penalty]


class KernelRidge(RidgeSolver):
    """Ridge from inner products alone: with the Gram matrix of all rows, a fold needs no product of wide rows.

    Only for columns that are neither scaled nor cut: that needs the columns themselves (`RidgeFactor`).

    Args:
        gram: inner products ``[n, n]`` of all rows about any common origin.
        train: training rows ``[m]``.

    Source: Saunders, Gammerman and Vovk 1998, with a linear kernel centred on the training rows.
    """

    def __init__(self, gram: torch.Tensor, train: torch.Tensor) -> None:
        self._gram, self._train = gram, train
        block = gram[train][:, train]
        self._mean = block.mean(dim=0)
        super().__init__(block - self._mean - (self._mean - self._mean.mean())[:, None])

    def project(self, rows: torch.Tensor) -> torch.Tensor:
        """Return inner products ``[t, m]`` of the rows with these numbers ``[t]`` and the training rows, centred."""
        block = self._gram[rows][:, self._train]
        return block - self._mean - (block.mean(dim=1, keepdim=True) - self._mean.mean())

    def predict(self, projected: torch.Tensor, targets: torch.Tensor, penalty: float) -> torch.Tensor:
        """Predict ``[t, d2]`` for projected rows, about the mean of the centred ``targets [m, d2]``."""
        return self.solve(projected.T, penalty).T.mm(targets)
