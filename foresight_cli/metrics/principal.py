"""A space in its own principal axes: fewer columns, the same geometry."""

from __future__ import annotations

import torch


def principal_coordinates(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """``x [n, d]`` float64, centred and in its principal axes ``[n, r]``, r = min(n, d), and the axes ``[d, r]``.

    The largest variance comes first. A rotation changes no distance, no sum of squares and no cosine, and leaves at
    most n columns.
    """
    shifted = x - x[0]  # a mean of large equal numbers would round
    return _rotate(shifted - shifted.mean(dim=0))


def _rotate(centred: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    if len(centred) < centred.shape[1]:
        basis, triangle = torch.linalg.qr(centred.T)
        coordinates, rotation = _rotate(triangle.T)
        return coordinates, basis @ rotation
    axes = torch.linalg.eigh(centred.T @ centred).eigenvectors.flip(1)
    return centred @ axes, axes
