"""A space whose intermediate results are computed once and shared by measures; pass a `Space` in place of a matrix."""

from __future__ import annotations

from functools import cached_property
from typing import TypeAlias

import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.distances import RowDistances
from foresight_cli.metrics.linear_algebra import gram_matrix, smaller_product, symmetric_eigen, symmetric_eigenvalues
from foresight_cli.metrics.validation import Matrix, as_matrix, centre, mismatched_rows


class Space:
    """The rows of ``x [n, d]``, float64, and their Gram matrix, distances and principal axes, each computed once.

    CKA, its error, RSA, the Mantel test, neighbourhoods, intrinsic dimension, spectra and Procrustes all follow from
    the ``[n, n]`` Gram matrix of the centred rows. A measure that gets a `Space` uses the results stored in it; one
    that gets a tensor or an array makes a new space. Results stay in memory as long as the space does: 8 n^2 bytes each
    for the Gram matrix and the squared distances.

    Args:
        x: a tensor or array ``[n, d]`` of finite real numbers; a float64 one is not copied, and must not be changed.
        name: the name of ``x`` in error messages.

    Raises:
        ForesightError: ``x`` is not such a matrix.

    Example:
        >>> import numpy as np
        >>> from foresight_cli.metrics import linear_cka, neighborhood
        >>> x = Space(np.random.default_rng(0).standard_normal((50, 8)))
        >>> round(linear_cka(x, x), 12), neighborhood(x, x).recall
        (1.0, 1.0)
    """

    def __init__(self, x: Matrix, *, name: str = "x", measure: str = "a space", min_rows: int = 1) -> None:
        self.name = name
        self.values = as_matrix(x, name, measure=measure, min_rows=min_rows)
        self._products = _Products(self.values)
        self._distances: dict[str, RowDistances] = {}

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.values), self.values.shape[1]

    @property
    def device(self) -> torch.device:
        """Device of the rows."""
        return self.values.device

    @property
    def centred(self) -> torch.Tensor:
        """The rows minus their mean ``[n, d]``; constant columns are exact zeros."""
        return self._products.centred

    @property
    def gram(self) -> torch.Tensor:
        """Inner products of the centred rows ``[n, n]``."""
        return self._products.gram

    @cached_property
    def eigenvalues(self) -> torch.Tensor:
        """Eigenvalues of the scatter matrix ``[min(n, d)]``, the largest first, none negative."""
        if "coordinates" in self.__dict__:
            return self.coordinates.square().sum(dim=0)
        product = self.gram if self.wide else smaller_product(self.centred)
        return symmetric_eigenvalues(product).flip(0).clamp_min(0)

    @cached_property
    def coordinates(self) -> torch.Tensor:
        """The centred rows in their principal axes ``[n, min(n, d)]``, the largest variance first.

        A rotation changes no distance, no sum of squares and no cosine, and leaves at most n columns.
        """
        if self.wide:
            eigenvalues, vectors = symmetric_eigen(self.gram)
            ascending: torch.Tensor = vectors * eigenvalues.clamp_min(0).sqrt()
        else:
            ascending = self.centred @ symmetric_eigen(smaller_product(self.centred))[1]
        return ascending.flip(1)

    def distances(self, distance: str = "euclidean") -> RowDistances:
        """Return the distances between the rows; Euclidean ones from `gram`, where that fits in memory."""
        if distance not in self._distances:
            euclidean = distance in ("euclidean", "sqeuclidean")
            products = self._products  # not the space itself: the reference cycle would keep gigabytes in memory
            gram = (lambda: products.gram) if euclidean and len(self) <= GRAM_ROWS else None
            rows = self.centred if euclidean else self.values
            self._distances[distance] = RowDistances(rows, distance, self.name, gram=gram, prepared=euclidean)
        return self._distances[distance]

    def varying(self, name: str, *, measure: str) -> Space:
        """Return the space itself, after a check that its rows vary.

        Raises:
            ForesightError: all its rows are equal.
        """
        if not self.centred.any():
            raise ForesightError(
                f"{name} is constant: all its {len(self)} rows are equal, and {measure} wants rows that vary"
            )
        return self

    @property
    def wide(self) -> bool:
        """True if it has more columns than rows."""
        return len(self) < self.values.shape[1]


class _Products:
    """Centred rows ``[n, d]`` and their inner products ``[n, n]``, each computed once."""

    def __init__(self, values: torch.Tensor) -> None:
        self._values = values

    @cached_property
    def centred(self) -> torch.Tensor:
        return centre(self._values)

    @cached_property
    def gram(self) -> torch.Tensor:
        return gram_matrix(self.centred)


SpaceLike: TypeAlias = Matrix | Space

GRAM_ROWS = 12_000
"""Above this many rows (1.2 GB per matrix) measures work in tiles and keep no ``[n, n]`` matrix."""


def as_space(x: SpaceLike, name: str, *, measure: str, min_rows: int) -> Space:
    """Return ``x`` as a `Space`; unchanged if it is one.

    Raises:
        ForesightError: ``x`` is not a matrix of real, finite numbers with at least ``min_rows`` rows.
    """
    if isinstance(x, Space):
        if len(x) < min_rows:
            raise ForesightError(f"{name} has {len(x)} rows: {measure} wants at least {min_rows}")
        return x
    return Space(x, name=name, measure=measure, min_rows=min_rows)


def as_spaces(x: SpaceLike, y: SpaceLike, *, measure: str, min_rows: int) -> tuple[Space, Space]:
    """Return both sides of a comparison as spaces on the device of ``x``.

    Raises:
        ForesightError: one of them is not a valid matrix, or they differ in their number of rows.
    """
    first = as_space(x, "x", measure=measure, min_rows=min_rows)
    second = as_space(y, "y", measure=measure, min_rows=min_rows)
    if len(first) != len(second):
        raise mismatched_rows(len(first), len(second), measure)
    if second.device != first.device:
        second = Space(second.values.to(first.device), name=second.name)
    return first, second
