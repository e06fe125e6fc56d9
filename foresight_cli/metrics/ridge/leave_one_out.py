"""Choice of the ridge penalty by leave-one-out error: all penalties from one eigendecomposition."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import numpy as np
import torch

from foresight_cli.metrics.linear_algebra import symmetric_eigen

Blocks: TypeAlias = Iterable[tuple[torch.Tensor, torch.Tensor]]


class LeaveOneOut:
    """Leave-one-out errors of ridge maps from fixed rows, for any target and penalty.

    Args:
        product: ``ZZ' [m, m]`` of the centred rows; or ``Z'Z [d, d]``, and then give ``rows``.
        rows: ``Z [m, d]``, if ``product`` is ``Z'Z``.
    """

    def __init__(self, product: torch.Tensor, rows: torch.Tensor | None) -> None:
        self._eigenvalues, left = eigen_without_noise(product)
        self._left = left if rows is None else rows @ (left / self._eigenvalues.sqrt())

    def best(self, targets: torch.Tensor, penalties: Sequence[float]) -> tuple[int, float]:
        """Return the index of the best penalty for centred ``targets [m, d2]``, and R2 of its fit to the training rows.

        R2 is 0 for constant targets.
        """
        total, loadings = float(targets.square().sum()), self._left.T @ targets
        blocks = [(self._left, targets)]
        chosen, explained = best_penalty(self._eigenvalues, loadings, total, len(targets), lambda: blocks, penalties)
        return chosen, explained / total if total else 0.0


def eigen_without_noise(product: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the eigenvalues ``[k]`` and eigenvectors ``[m, k]`` of ``product [m, m]`` that are not rounding noise.

    One direction of noise is the one that centring removed.
    """
    eigenvalues, vectors = symmetric_eigen(product)
    kept = eigenvalues > eigenvalues[-1] * len(eigenvalues) * torch.finfo(product.dtype).eps
    return eigenvalues[kept], vectors[:, kept]


def best_penalty(
    eigenvalues: torch.Tensor,
    loadings: torch.Tensor,
    total: float,
    n: int,
    blocks: Callable[[], Blocks],
    penalties: Sequence[float],
) -> tuple[int, float]:
    """Return the index of the penalty with the smallest leave-one-out error, and the sum of squares that it explains.

    With ZZ' = U S^2 U' the residual of row i without row i is that of the whole fit divided by 1 - h_i, h_i being the
    i-th diagonal of U S^2 (S^2 + penalty)^-1 U' plus 1/n for the intercept. For every penalty, the sum of the squared
    residuals and the range of the h_i are cheap and bound the error from both sides. So the exact error is computed
    only for penalties that may be the best, usually two or three. All of it is in double precision: next to a massive
    column, single precision loses all others, and an R2 of 0.7 becomes 0.

    Args:
        eigenvalues: S^2, without rounding noise ``[k]``.
        loadings: U'Y, Y being the centred targets ``[k, d2]``.
        total: sum of the squares of Y.
        n: number of rows.
        blocks: returns the rows of U ``[b, k]`` and Y ``[b, d2]`` from the start, in blocks; called once for the
            bounds and once for each penalty that may be the best.
        penalties: the penalties to choose from.

    Source: Allen 1974 (PRESS); the eigenvectors' form, Golub, Heath and Wahba 1979.
    """
    shares = eigenvalues[:, None] / (eigenvalues[:, None] + eigenvalues.new_tensor(penalties))
    explained = loadings.square().sum(dim=1) @ (2 * shares - shares.square())
    best, chosen = math.inf, 0
    if len(penalties) > 1:
        kept = torch.stack([_kept(left, shares, n).amax(dim=0) for left, _ in blocks()]).amax(dim=0)
        least = ((total - explained).clamp_min(0) / kept.square()).tolist()
        for index in np.argsort(least, kind="stable").tolist():
            # The bound is summed in another order, so rounding may take it above the error that it bounds.
            if least[index] * (1 - 1e-9) > best:
                break
            error = sum(_squared_error(left, y, loadings, shares[:, index], n) for left, y in blocks())
            if error < best:
                best, chosen = error, index
    return chosen, float(explained[chosen])


def _squared_error(left: torch.Tensor, y: torch.Tensor, loadings: torch.Tensor, shares: torch.Tensor, n: int) -> float:
    """Return the summed squared leave-one-out error of a block of rows."""
    residual = torch.addmm(y, left * shares, loadings, alpha=-1)
    return float((residual.square().sum(dim=1) / _kept(left, shares, n).square()).sum())


def _kept(left: torch.Tensor, shares: torch.Tensor, n: int) -> torch.Tensor:
    """Return 1 - h_i of each row of a block ``[b]``, or of each row and penalty ``[b, penalties]``."""
    return 1 - 1 / n - left.square() @ shares
