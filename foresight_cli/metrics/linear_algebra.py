"""Symmetric products and eigendecompositions, by the fastest library for the device.

On a CPU these are NumPy's and SciPy's: NumPy computes ``x @ x.T`` as a symmetric product, with half the work of a
general one, and LAPACK's divide and conquer is several times faster through SciPy than through torch.
"""

from __future__ import annotations

import scipy.linalg
import torch


def gram_matrix(x: torch.Tensor) -> torch.Tensor:
    """Return ``x x'``: inner products of the rows of ``x [n, d]``, ``[n, n]``, exactly symmetric."""
    if x.device.type != "cpu":
        return x @ x.T
    rows = x.numpy()
    return torch.from_numpy(rows @ rows.T)


def scatter_matrix(x: torch.Tensor) -> torch.Tensor:
    """Return ``x' x``: inner products of the columns of ``x [n, d]``, ``[d, d]``, exactly symmetric."""
    if x.device.type != "cpu":
        return x.T @ x
    rows = x.numpy()
    return torch.from_numpy(rows.T @ rows)


def smaller_product(x: torch.Tensor) -> torch.Tensor:
    """Return ``x x'`` if ``x [n, d]`` has fewer rows than columns, else ``x' x``: same non-zero eigenvalues."""
    return gram_matrix(x) if len(x) < x.shape[1] else scatter_matrix(x)


def symmetric_eigen(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return eigenvalues ``[m]``, ascending, and eigenvectors (columns, ``[m, m]``) of a symmetric ``matrix``."""
    if matrix.device.type != "cpu":
        values, vectors = torch.linalg.eigh(matrix)
        return values, vectors
    solution = scipy.linalg.eigh(matrix.numpy(), driver="evd", check_finite=False)
    # LAPACK stores columns one after the other, so it is their transpose that torch calls contiguous.
    return torch.from_numpy(solution[0]), torch.from_numpy(solution[1].T.copy()).T


def symmetric_eigenvalues(matrix: torch.Tensor) -> torch.Tensor:
    """Return eigenvalues ``[m]`` of a symmetric ``matrix [m, m]``, ascending."""
    if matrix.device.type != "cpu":
        values: torch.Tensor = torch.linalg.eigvalsh(matrix)
        return values
    return torch.from_numpy(scipy.linalg.eigh(matrix.numpy(), eigvals_only=True, driver="evd", check_finite=False))
