"""Ridge maps from the sums of their training rows, and their errors from the sums of other rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import torch

from foresight_cli.metrics.ridge.leave_one_out import eigen_without_noise

EIGEN_COST = 30
"""Time of an eigendecomposition of a [d, d] matrix, as a multiple of d^3 multiplications in a matrix product."""


class Sums(Protocol):
    """Sums of rows (x, y) about their mean."""

    @property
    def n(self) -> int:
        """Number of rows."""

    @property
    def squared_y(self) -> float:
        """Sum of squares of y about its mean."""

    def __getitem__(self, name: str) -> torch.Tensor: ...


class StreamedRidge:
    """Ridge maps of every penalty, from the sums of their training rows.

    Args:
        train: sums of the training rows.
        penalties: number of penalties. A few are solved one by one (Cholesky); for many, an eigendecomposition gives
            all at once. Both are the same map up to the last digits.
    """

    def __init__(self, train: Sums, penalties: int) -> None:
        deviation = (train["xx"].diagonal() / train.n).sqrt()
        self._scale = torch.where(deviation > 0, deviation, 1.0)
        self._gram = train["xx"] / self._scale / self._scale[:, None]
        self._cross = train["xy"] / self._scale[:, None]
        self.mean_eigenvalue = float(self._gram.trace()) / train.n or 1.0
        d1, d2 = train["xy"].shape
        self._one_by_one = penalties * (d1 / 3 + 2 * d2) < EIGEN_COST * d1

    def errors(self, test: Sums, penalties: Sequence[float]) -> list[float]:
        """Return the squared error on the rows of ``test``, whose sums are about the training mean, per penalty."""
        if self._one_by_one:
            solved = [self._solved(test, penalty) for penalty in penalties]
            if all(error is not None for error in solved):
                return [error for error in solved if error is not None]
        axes, eigenvalues, loadings = self.axes
        # |y - W'x|^2 summed is tr yy - 2 tr W'xy + tr W'xx W, with W = axes @ loadings / (eigenvalues + penalty).
        cross = (loadings * (axes.T @ test["xy"])).sum(dim=1)
        square = (axes.T @ test["xx"] @ axes) * (loadings @ loadings.T)
        shrunk = [1 / (eigenvalues + penalty) for penalty in penalties]
        return [test.squared_y - 2 * float(cross @ factor) + float(factor @ square @ factor) for factor in shrunk]

    def _solved(self, test: Sums, penalty: float) -> float | None:
        """Return the error for one penalty; None where the sums are too nearly singular."""
        if penalty not in self._maps:
            diagonal = self._gram.diagonal()
            before = diagonal.clone()
            diagonal.add_(penalty)  # in place, and restored below: the factorisation makes a copy anyway
            factor, fault = torch.linalg.cholesky_ex(self._gram)
            diagonal.copy_(before)
            solved = torch.cholesky_solve(self._cross, factor) / self._scale[:, None]
            self._maps[penalty] = None if int(fault) else solved
        weight = self._maps[penalty]
        if weight is None:
            return None
        return test.squared_y - 2 * float((weight * test["xy"]).sum()) + float((weight * (test["xx"] @ weight)).sum())

    @cached_property
    def _maps(self) -> dict[float, torch.Tensor | None]:
        return {}

    @cached_property
    def axes(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Axes A ``[d1, k]``, eigenvalues s ``[k]`` and loadings L ``[k, d2]``: W = A L/(s + penalty)."""
        values, vectors = eigen_without_noise(self._gram)
        return vectors / self._scale[:, None], values, vectors.T @ self._cross
