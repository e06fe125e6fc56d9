"""Choice of the ridge penalty by leave-one-out error: all penalties from one eigendecomposition."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from foresight_cli.metrics.linear_algebra import symmetric_eigen


class LeaveOneOut:
    """Leave-one-out errors of ridge maps from fixed rows, for any target and penalty.

    With ZZ' = U S^2 U' the residual of row i without row i is that of the whole fit divided by 1 - h_i, h_i being the
    i-th diagonal of U S^2 (S^2 + penalty)^-1 U' plus 1/m for the intercept.

    Args:
        product: ``ZZ' [m, m]`` of the centred rows; or ``Z'Z [d, d]``, and then give ``rows``.
        rows: ``Z [m, d]``, if ``product`` is ``Z'Z``.

    Source: Allen 1974 (PRESS); the eigenvectors' form, Golub, Heath and Wahba 1979.
    """

    def __init__(self, product: torch.Tensor, rows: torch.Tensor | None) -> None:
        eigenvalues, vectors = symmetric_eigen(product)
        # Leave out directions that are rounding noise; one of them is the direction that centring removed.
        kept = eigenvalues > eigenvalues[-1] * len(eigenvalues) * torch.finfo(product.dtype).eps
        self._eigenvalues, left = eigenvalues[kept], vectors[:, kept]
        self._left = left if rows is None else rows @ (left / self._eigenvalues.sqrt())

    def best(self, targets: torch.Tensor, penalties: Sequence[float]) -> tuple[int, float]:
        """Return the index of the best penalty for centred ``targets [m, d2]``, and R2 of its fit to the training rows.

        For every penalty, the sum of the squared residuals and the range of the h_i are cheap and bound the error from
        both sides. So the exact error is computed only for penalties that may be the best, usually two or three. All of
        it is in double precision: next to a massive column, single precision loses all others, and an R2 of 0.7
        becomes 0.
        """
        shares = self._eigenvalues[:, None] / (self._eigenvalues[:, None] + self._eigenvalues.new_tensor(penalties))
        loadings = self._left.T @ targets
        total = float(targets.square().sum())
        explained = loadings.square().sum(dim=1) @ (2 * shares - shares.square())
        kept = 1 - 1 / len(targets) - self._left.square() @ shares  # 1 - h_i [m, penalties]
        least = ((total - explained).clamp_min(0) / kept.amax(dim=0).square()).tolist()
        best, chosen = math.inf, 0
        for index in np.argsort(least, kind="stable").tolist() if len(penalties) > 1 else ():
            # The bound is summed in another order, so rounding may take it above the error that it bounds.
            if least[index] * (1 - 1e-9) > best:
                break
            residual = torch.addmm(targets, self._left * shares[:, index], loadings, alpha=-1)
            error = float((residual.square().sum(dim=1) / kept[:, index].square()).sum())
            if error < best:
                best, chosen = error, index
        return chosen, float(explained[chosen]) / total if total else 0.0
