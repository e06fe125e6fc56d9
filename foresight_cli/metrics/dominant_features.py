"""Massive dimensions: single columns that carry so much variance that CKA and distances see little else."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.validation import Matrix, as_matrix, centre_varying


@dataclass(frozen=True)
class DominantFeatures:
    """The dominant columns, the largest share first.

    Attributes:
        indices: column numbers.
        shares: each column's share of the total variance.
    """

    indices: tuple[int, ...]
    shares: tuple[float, ...]


def dominant_features(x: Matrix, *, share: float = 0.2) -> DominantFeatures:
    """Return the columns of ``x [n, d]`` that each carry more than ``share`` of its variance; usually none.

    If there are some, compare the measures of the raw columns with those of columns scaled to variance one.
    With few columns the result means little: each of d equal columns carries 1/d.

    Raises:
        ForesightError: ``x`` is invalid or constant, or ``share`` is not within 0 .. 1.

    Source: massive activations, Sun et al. 2024, arXiv 2402.17762; the share is ours.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).standard_normal((100, 50))
        >>> dominant_features(x)
        DominantFeatures(indices=(), shares=())
        >>> x[:, 7] *= 100
        >>> dominant_features(x).indices
        (7,)
    """
    if not 0 <= share < 1:
        raise ForesightError(f"share={share}: wanted a number from 0, below 1")
    values = as_matrix(x, "x", measure="dominant_features", min_rows=2)
    centred = centre_varying(values, "x", measure="dominant_features")
    # Divide by the largest number first: the squares of huge numbers would overflow.
    squares = centred.div(centred.abs().max()).square().sum(dim=0)
    shares = squares / squares.sum()
    order = torch.argsort(shares, descending=True, stable=True)
    dominant = order[shares[order] > share]
    return DominantFeatures(tuple(dominant.tolist()), tuple(shares[dominant].tolist()))
