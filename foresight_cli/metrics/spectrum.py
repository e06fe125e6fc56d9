"""Dimension of a space: the eigenvalues of its covariance and three summaries of them."""

from __future__ import annotations

import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.linear_algebra import smaller_product, symmetric_eigenvalues
from foresight_cli.metrics.space import Space, SpaceLike, as_space


def participation_ratio(x: SpaceLike) -> float:
    """(sum of eigenvalues)^2 / sum of their squares, of the covariance of ``x [n, d]``: 1 for a line, d for a ball.

    Needs no eigendecomposition: it is (tr C)^2 / |C|^2.

    Raises:
        ForesightError: ``x`` is invalid or constant.

    Source: Gao et al. 2017, bioRxiv 214262.

    Example:
        >>> round(participation_ratio([[2, 0], [-2, 0], [0, 1], [0, -1]]), 4)
        1.4706
    """
    space = _space(x, "participation_ratio")
    product = space.gram if space.wide else smaller_product(space.centred)
    return float(product.trace() ** 2 / product.square().sum())


def effective_rank(x: SpaceLike) -> float:
    """Exponential of the entropy of the covariance eigenvalues of ``x [n, d]``, scaled to sum to one.

    Raises:
        ForesightError: ``x`` is invalid or constant.

    Source: Roy and Vetterli 2007. Deviation: theirs is the entropy of the singular values; this is the entropy of their
    squares, so that it measures variance, as `participation_ratio` does.

    Example:
        >>> round(effective_rank([[2, 0], [-2, 0], [0, 1], [0, -1]]), 4)
        1.6494
    """
    eigenvalues = covariance_eigenvalues(x, "effective_rank")
    return float(effective_rank_of(eigenvalues / eigenvalues.sum()))


def pca_dimension(x: SpaceLike, *, variance: float = 0.95) -> int:
    """Smallest number of principal components of ``x [n, d]`` that hold the share ``variance`` of its variance.

    At most min(n - 1, d): with few rows it depends more on n than on the space.

    Raises:
        ForesightError: ``x`` is invalid or constant, or ``variance`` is not within 0 .. 1.

    Example:
        >>> pca_dimension([[2, 0], [-2, 0], [0, 1], [0, -1]], variance=0.75)
        1
    """
    check_share(variance)
    eigenvalues = covariance_eigenvalues(x, "pca_dimension")
    return int(pca_dimension_of(eigenvalues / eigenvalues.sum(), variance))


def check_share(variance: float) -> None:
    """Refuse a share of variance that is not above 0 and at most 1.

    Raises:
        ForesightError: ``variance`` is not such a share.
    """
    if not 0 < variance <= 1:
        raise ForesightError(f"variance={variance}: wanted a share above 0, at most 1")


def shares_of_variance(scatter: torch.Tensor, n: int) -> torch.Tensor:
    """Return the eigenvalues of ``scatter [d, d]`` of n rows over their sum, the largest first ``[min(d, n - 1)]``."""
    values = symmetric_eigenvalues(scatter).flip(0)[: n - 1].clamp_min(0)  # the rest is rounding
    return values / values.sum()


def pca_dimension_of(shares: torch.Tensor, variance: float) -> torch.Tensor:
    """Return `pca_dimension` from ``shares [m]`` of the variance, the largest first: an integer, no dimensions."""
    # The last sum is 1 up to rounding.
    return (shares.cumsum(dim=0) < variance - 1e-12).sum() + 1


def effective_rank_of(shares: torch.Tensor) -> torch.Tensor:
    """Return `effective_rank` from ``shares [m]`` of the variance: a tensor without dimensions."""
    rank: torch.Tensor = torch.special.entr(shares).sum().exp()
    return rank


def covariance_eigenvalues(x: SpaceLike, measure: str) -> torch.Tensor:
    """Return the min(n, d) eigenvalues of the scatter matrix of ``x [n, d]``, the largest first, none negative.

    Raises:
        ForesightError: ``x`` is invalid or constant.
    """
    return _space(x, measure).eigenvalues


def _space(x: SpaceLike, measure: str) -> Space:
    return as_space(x, "x", measure=measure, min_rows=2).varying("x", measure=measure)
