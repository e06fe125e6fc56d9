"""Centred kernel nearest-neighbour alignment: CKA restricted to nearest neighbours."""

from __future__ import annotations

import math

import numpy as np
import scipy.sparse
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.distances import RowDistances
from foresight_cli.metrics.neighbors import nearest_neighbors
from foresight_cli.metrics.validation import Matrix, as_pair, centre, check_count


def cknna(x: Matrix, y: Matrix, *, k: int = 10, centred: bool = False, seed: int = 0) -> float:
    """CKNNA of ``x [n, d1]`` and ``y [n, d2]`` in the platonic-rep convention; ``k = n - 1`` is debiased linear CKA.

    Rows are scaled to length one. K and L are their inner products, masked to the pairs (i, j) where j is among the k
    nearest of i in *both* spaces (for <K, K>: in x alone). They enter Song's unbiased HSIC with tr(K L), so that a pair
    counts in its first term only if it is mutual. The masked matrices are not symmetric, so swapping x and y changes
    the value a little (.0003 on 200 rows). The published code does not centre, so the value depends on the origin:
    ``centred=True`` subtracts the column means first.

    Raises:
        ForesightError: a matrix is invalid, has fewer than 4 rows or a zero row, ``k`` is not within 2 .. n - 1, or the
            masked HSIC of a space with itself is not positive.

    Source: Huh et al. 2024, arXiv 2405.07987, appendix A, and `metrics.py` of minyoungg/platonic-rep. Deviations: no
    1e-6 in the denominator; ties broken at random (``seed``).

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).standard_normal((60, 8))
        >>> round(cknna(x, 5 * x, k=10), 12)
        1.0
    """
    first, second = as_pair(x, y, measure="cknna", min_rows=4)
    n = len(first)
    check_count(k, "k", low=2, high=n - 1, why=f" for {n} rows")
    rng = np.random.default_rng(seed)
    grams = [
        _neighbor_gram(centre(values) if centred else values, k, rng, name)
        for values, name in ((first, "x"), (second, "y"))
    ]
    both = grams[0].astype(bool).multiply(grams[1].astype(bool))
    xy = _unbiased_hsic(grams[0].multiply(both).tocsr(), grams[1].multiply(both).tocsr())
    xx, yy = (_unbiased_hsic(gram, gram) for gram in grams)
    if xx <= 0 or yy <= 0:
        name = "x" if xx <= 0 else "y"
        raise ForesightError(f"cknna is undefined at k={k}: the masked HSIC of {name} with itself is not above 0")
    return xy / (math.sqrt(xx) * math.sqrt(yy))


def _neighbor_gram(x: torch.Tensor, k: int, rng: np.random.Generator, name: str) -> scipy.sparse.csr_array:
    """Return inner products of unit rows ``[n, n]``, kept only from each row to its k nearest others; not symmetric."""
    space = RowDistances(x, "cosine", name)
    if k == len(x) - 1:
        gram = (space.rows @ space.rows.T).fill_diagonal_(0)
        return scipy.sparse.csr_array(gram.cpu().numpy())
    indices = nearest_neighbors(space, k, rng).indices
    # Getting u'v back from |u - v|^2 = 2 - 2 u'v would lose the digits of a small product: compute it directly.
    values = torch.stack([(space.rows * space.rows[column]).sum(dim=1) for column in indices.T], dim=1)
    starts = np.arange(0, indices.numel() + 1, k)
    parts = (values.flatten().cpu().numpy(), indices.flatten().cpu().numpy(), starts)
    return scipy.sparse.csr_array(parts, shape=(len(x), len(x)))


def _unbiased_hsic(gram_x: scipy.sparse.csr_array, gram_y: scipy.sparse.csr_array) -> float:
    """Return Song's statistic times n (n - 3), for asymmetric matrices with a zero diagonal."""
    n = gram_x.shape[0]
    mutual = gram_x.multiply(gram_y.T).sum()
    mixed = gram_x.sum(axis=0) @ gram_y.sum(axis=1)
    return float(mutual + gram_x.sum() * gram_y.sum() / ((n - 1) * (n - 2)) - 2 * mixed / (n - 2))
