"""Gram matrices: the Gaussian kernel with a median bandwidth, and double centring."""

from __future__ import annotations

import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.space import Space


def rbf_gram(x: Space, bandwidth: float, name: str) -> torch.Tensor:
    """Return the Gaussian Gram matrix ``[n, n]`` of ``x [n, d]``: exp(-d^2 / (2 bandwidth^2 median(d^2 over i < j))).

    Raises:
        ForesightError: the bandwidth is not positive, the rows are all equal, or more than half of the pairs coincide.
    """
    if not bandwidth > 0:
        raise ForesightError(f"bandwidth={bandwidth}: wanted a number above 0")
    space = x.varying(name, measure="rbf_cka").distances()
    squared = space.squared(slice(None)).fill_diagonal_(0)
    middle = median(space.condensed_squared())
    if middle == 0:
        raise ForesightError(f"{name} has equal rows in more than half of its pairs: the RBF bandwidth would be 0")
    return torch.exp(squared / (-2 * bandwidth**2 * middle))


def median(values: torch.Tensor) -> float:
    """Return the median of ``values [m]``: the mean of the middle two if m is even (torch.median takes the lower)."""
    m = len(values)
    upper = float(values.kthvalue(m // 2 + 1).values)
    return upper if m % 2 else (float(values.kthvalue(m // 2).values) + upper) / 2


def double_centre(gram: torch.Tensor) -> torch.Tensor:
    """Return HKH with H = I - 11'/n, for a symmetric ``gram [n, n]``."""
    means = gram.mean(dim=1)
    return gram - means - means[:, None] + means.mean()
