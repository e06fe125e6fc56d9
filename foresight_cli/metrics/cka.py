"""Centred kernel alignment: linear and RBF, biased and debiased."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.kernels import double_centre, rbf_gram
from foresight_cli.metrics.space import GRAM_ROWS, SpaceLike, as_spaces
from foresight_cli.metrics.validation import TILE_NUMBERS

# A debiased denominator below this share of the biased one is rounding error: the rows form a regular simplex.
_NO_STRUCTURE = 1e-12


@dataclass(frozen=True)
class AlignmentSums:
    """The inner products of two centred Gram matrices K and L: all that CKA needs.

    Attributes:
        n: number of rows.
        xy: <K, L>; equal to |X'Y|^2 (Frobenius) for linear kernels.
        xx: <K, K>.
        yy: <L, L>.
        diagonal_x: diagonal of K ``[n]``.
        diagonal_y: diagonal of L ``[n]``.
    """

    n: int
    xy: float
    xx: float
    yy: float
    diagonal_x: torch.Tensor
    diagonal_y: torch.Tensor

    def hsic(self, *, debiased: bool) -> tuple[float, float, float]:
        """Return HSIC of (x, y), (x, x) and (y, y), each times the same function of n, which cancels in CKA."""
        if not debiased:
            return self.xy, self.xx, self.yy
        a, b = self.diagonal_x, self.diagonal_y
        return self._unbiased(self.xy, a, b), self._unbiased(self.xx, a, a), self._unbiased(self.yy, b, b)

    def cka(self, *, debiased: bool) -> float:
        """Return CKA, computed from the sums.

        Raises:
            ForesightError: ``debiased``, and the rows of a matrix are all equally far apart.
        """
        xy, xx, yy = self.hsic(debiased=debiased)
        for name, value, biased in (("x", xx, self.xx), ("y", yy, self.yy)):
            if value <= _NO_STRUCTURE * biased:
                raise ForesightError(f"{name} has rows that are all equally far apart: debiased CKA is 0/0 there")
        # Two square roots: the root of the product would not give exactly 1 for CKA(x, x).
        return xy / (math.sqrt(xx) * math.sqrt(yy))

    def _unbiased(self, product: float, a: torch.Tensor, b: torch.Tensor) -> float:
        n = self.n
        return product - n / (n - 2) * float(a @ b) + float(a.sum() * b.sum()) / ((n - 1) * (n - 2))


def linear_cka(x: SpaceLike, y: SpaceLike, *, debiased: bool = True) -> float:
    """Linear CKA of ``x [n, d1]`` and ``y [n, d2]``: 1 for equal geometry, near 0 for nothing in common.

    With centred Grams K = XX' and L = YY' the biased ratio is <K, L> / (|K| |L|). It rises towards 1 with d / n even
    for independent data; the debiased one replaces each product by the unbiased HSIC,
    ``<K, L> - n/(n-2) sum(K_ii L_ii) + tr K tr L / ((n-1)(n-2))``, and may be slightly negative. Time is the smaller
    of n^2 (d1 + d2) / 2 and n (d1 + d2)^2; memory two ``[n, n]`` matrices up to 12,000 rows, one tile beyond.

    Raises:
        ForesightError: a matrix is invalid, constant, or (debiased) has fewer than 4 rows or only equal distances.

    Source: Kornblith et al. 2019, arXiv 1905.00414, eq. 5; unbiased HSIC: Song et al. 2012, eq. 5. The debiased ratio
    itself is consistent, not unbiased.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0, 0], [1, 0], [0, 2], [3, 1], [2, 4]])
        >>> y = np.array([[0, 1], [1, 1], [1, 3], [4, 0], [2, 5]])
        >>> round(linear_cka(x, y), 6), round(linear_cka(x, y, debiased=False), 6)
        (0.662543, 0.816993)
    """
    return linear_sums(x, y, min_rows=_min_rows(debiased), measure="linear_cka").cka(debiased=debiased)


def rbf_cka(x: SpaceLike, y: SpaceLike, *, bandwidth: float = 1.0, debiased: bool = True) -> float:
    """CKA of Gaussian kernels ``exp(-d^2 / (2 sigma^2))``, sigma^2 = bandwidth^2 times the median off-diagonal d^2.

    A small bandwidth compares neighbourhoods; with a large one the value tends to linear CKA (Alvarez 2021, arXiv
    2112.09305). Report 0.5, 1 and 2 together. Keeps two ``[n, n]`` float64 matrices: 3.2 GB each at n = 20,000; use
    `minibatch_cka` beyond that.

    Raises:
        ForesightError: a matrix is invalid or constant, has too few rows, or more than half its pairs coincide.

    Source: Kornblith et al. 2019, section 4. Deviation: their code takes the median over the n zero self-distances too.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).standard_normal((50, 8))
        >>> round(rbf_cka(x, 3 * x[:, ::-1] + 1), 12)
        1.0
    """
    first, second = as_spaces(x, y, measure="rbf_cka", min_rows=_min_rows(debiased))
    return gram_cka(rbf_gram(first, bandwidth, "x"), rbf_gram(second, bandwidth, "y"), debiased=debiased)


def gram_cka(gram_x: torch.Tensor, gram_y: torch.Tensor, *, debiased: bool = True) -> float:
    """CKA of two symmetric Gram matrices ``[n, n]`` of any kernel, float64, not yet centred.

    Raises:
        ForesightError: ``debiased``, and a matrix has no structure once centred.
    """
    return gram_sums(gram_x, gram_y).cka(debiased=debiased)


def linear_sums(x: SpaceLike, y: SpaceLike, *, min_rows: int, measure: str) -> AlignmentSums:
    """Return the sums of linear CKA, over rows (n small) or columns (d small), whichever is less work.

    Raises:
        ForesightError: a matrix is invalid or constant.
    """
    first, second = as_spaces(x, y, measure=measure, min_rows=min_rows)
    first, second = first.varying("x", measure=measure), second.varying("y", measure=measure)
    a, b = first.centred, second.centred
    n, wide = len(a), a.shape[1] + b.shape[1]
    if not n * wide < a.shape[1] ** 2 + b.shape[1] ** 2 + a.shape[1] * b.shape[1]:
        xy, xx, yy = _products_by_columns(a, b)
    elif n <= GRAM_ROWS:
        k, l = first.gram, second.gram  # noqa: E741
        xy, xx, yy = _dot(k, l), _dot(k, k), _dot(l, l)
    else:
        xy, xx, yy = _products_by_rows(a, b)
    return AlignmentSums(n, xy, xx, yy, a.square().sum(dim=1), b.square().sum(dim=1))


def _min_rows(debiased: bool) -> int:
    return 4 if debiased else 2


def gram_sums(gram_x: torch.Tensor, gram_y: torch.Tensor) -> AlignmentSums:
    """Centre two symmetric Gram matrices ``[n, n]`` and return their sums for CKA."""
    a, b = double_centre(gram_x), double_centre(gram_y)
    return AlignmentSums(len(a), _dot(a, b), _dot(a, a), _dot(b, b), a.diagonal(), b.diagonal())


def _products_by_rows(a: torch.Tensor, b: torch.Tensor) -> tuple[float, float, float]:
    """Return <K, L>, <K, K>, <L, L> from the upper triangle of both Grams, a tile of rows at a time."""
    n = len(a)
    step = max(1, TILE_NUMBERS // n)
    xy = xx = yy = 0.0
    for start in range(0, n, step):
        gram_a = a[start : start + step] @ a[start:].T
        gram_b = b[start : start + step] @ b[start:].T
        # Twice the tile counts the square on the diagonal twice, so one is subtracted.
        square_a, square_b = gram_a[:, : len(gram_a)], gram_b[:, : len(gram_b)]
        xy += 2 * _dot(gram_a, gram_b) - _dot(square_a, square_b)
        xx += 2 * _dot(gram_a, gram_a) - _dot(square_a, square_a)
        yy += 2 * _dot(gram_b, gram_b) - _dot(square_b, square_b)
    return xy, xx, yy


def _products_by_columns(a: torch.Tensor, b: torch.Tensor) -> tuple[float, float, float]:
    """Return |A'B|^2, |A'A|^2 and |B'B|^2 (Frobenius), a tile of columns at a time."""

    def squared_norm(left: torch.Tensor, right: torch.Tensor) -> float:
        step = max(1, TILE_NUMBERS // right.shape[1])
        return math.fsum(float((part.T @ right).square().sum()) for part in torch.split(left, step, dim=1))

    return squared_norm(a, b), squared_norm(a, a), squared_norm(b, b)


def _dot(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return the sum of products, summed within rows first: BLAS alone would add up n^2 of them in one long sum."""
    return float(torch.linalg.vecdot(a, b).sum())
