"""A space in its own principal axes: fewer columns, the same geometry."""

from __future__ import annotations

import torch


def principal_coordinates(centred: torch.Tensor) -> torch.Tensor:
    """``centred [n, d]`` float64 in its principal axes ``[n, r]``, r = min(n, d), the largest variance first.

    A rotation changes no distance, no sum of squares and no cosine, and leaves at most n columns.
    """
    if len(centred) < centred.shape[1]:
        eigenvalues, vectors = torch.linalg.eigh(centred @ centred.T)
        ascending: torch.Tensor = vectors * eigenvalues.clamp_min(0).sqrt()
    else:
        ascending = centred @ torch.linalg.eigh(centred.T @ centred).eigenvectors
    return ascending.flip(1)
