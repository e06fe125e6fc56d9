"""Mean and covariance of rows that come in batches, and the conversion of sums from one centre to another."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import torch

from foresight_cli.metrics.linear_algebra import scatter_matrix
from foresight_cli.metrics.streaming.stream import Part, StreamingMetric
from foresight_cli.metrics.validation import Matrix


class MomentPart(Part):
    """Sums over rows z = (x, y) about the mean of these rows.

    The mean is kept relative to ``origin``, the first row. So data far from zero lose no digits: two nearby numbers
    have an exact difference, and only differences are added up.
    """

    @staticmethod
    def shapes(n: int, d1: int, d2: int) -> dict[str, tuple[int, ...]]:
        """Return shapes of the first row and the mean of z, and of the scatter matrix of x."""
        return {"origin": (d1 + d2,), "mean": (d1 + d2,), "xx": (d1, d1)}

    def add(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """Add the rows ``x [b, d1]`` and ``y [b, d2]``, b at least 1, of any floating type."""
        rows = self.flat.new_empty(len(x), self.d1 + self.d2)
        for side, into in zip((x, y), self.sides(rows), strict=True):
            into.copy_(side)  # converts to float64 without a temporary copy
        if self.n == 0:
            self["origin"].copy_(rows[0])
        rows -= self["origin"]
        mean = self._mean_with(rows.mean(dim=0), len(rows))
        self._move(mean)
        rows -= mean
        self._accumulate(rows)
        self.flat[1] += len(rows)

    def absorb(self, other: Part) -> None:
        """Add the rows of another part, exactly: the sums of both are first moved to the common mean."""
        if not other.n:
            return
        assert isinstance(other, MomentPart)
        if self.n == 0:
            self["origin"].copy_(other["origin"])
        self._move(self._mean_with(self["mean"] + other._from_mean_of(self), other.n))
        moved = other.about(self)
        for name in self._place.keys() - {"origin", "mean"}:
            self[name].add_(moved[name])
        self.flat[1] += moved.n

    def about(self, other: MomentPart) -> Self:
        """Return a copy whose sums are about the mean of another part."""
        copy = self.clone()
        by = self._from_mean_of(other)
        copy._shift(by)
        copy["mean"].sub_(by)
        return copy

    def sides(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the columns of x and those of y in rows or in one row."""
        return z[..., : self.d1], z[..., self.d1 :]

    def _from_mean_of(self, other: MomentPart) -> torch.Tensor:
        return (self["origin"] - other["origin"]) + (self["mean"] - other["mean"])

    def _mean_with(self, mean: torch.Tensor, rows: int) -> torch.Tensor:
        return self["mean"] + (mean - self["mean"]) * (rows / (self.n + rows))

    def _move(self, mean: torch.Tensor) -> None:
        """Move all sums to the centre ``mean``."""
        if self.n:
            self._shift(self["mean"] - mean)
        self["mean"].copy_(mean)

    def _shift(self, by: torch.Tensor) -> None:
        """Turn the sums over rows a, which have mean 0, into sums over a + ``by``."""
        x, _ = self.sides(by)
        self["xx"].addr_(x, x, alpha=self.n)

    def _accumulate(self, rows: torch.Tensor) -> None:
        x, _ = self.sides(rows)
        self["xx"].add_(scatter_matrix(x))


class MomentMetric(StreamingMetric):
    """A measure whose parts are moments."""

    part = MomentPart

    def _merge(self, part: Part, other: Part) -> Part:
        assert isinstance(part, MomentPart)
        part.absorb(other)
        return part

    def _add(self, key: int, x: torch.Tensor, y: torch.Tensor) -> None:
        """Add the rows ``x [b, d1]`` and ``y [b, d2]`` to the part of ``key``; b may be 0."""
        if len(x):
            part = self._part_for(key, x.shape[1], y.shape[1])
            assert isinstance(part, MomentPart)
            part.add(x, y)


class MomentsResult(NamedTuple):
    """Moments of n rows. With a single column, torchmetrics makes each array a tensor without dimensions.

    Attributes:
        n: number of rows.
        mean: ``[d]``.
        variance: ``[d]``, with n - 1 in the denominator.
        covariance: ``[d, d]``, with n - 1 in the denominator.
    """

    n: int
    mean: torch.Tensor
    variance: torch.Tensor
    covariance: torch.Tensor


class CovarianceMetric(MomentMetric):
    """A measure computed from the covariance of one space; measures in one ``MetricCollection`` share the sums.

    Memory is 8 d^2 bytes: 103 MB at d = 3,584, 537 MB at d = 8,192.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def update(self, x: Matrix) -> None:
        """Add the rows ``x [b, d]``; b may be 0.

        Raises:
            ForesightError: ``x`` is invalid, or has another width than the rows before.
        """
        with torch.inference_mode(False), torch.no_grad():
            batch = self._batch_of_one(x)
            self._add(0, batch, batch[:, :0])

    def _scatter(self) -> MomentPart:
        """Return the sums over all rows.

        Raises:
            ForesightError: there are fewer than 2 rows.
        """
        self._check_rows(2)
        (part,) = self._merged()
        assert isinstance(part, MomentPart)
        return part


class Moments(CovarianceMetric):
    """Number, mean, variance and covariance of rows ``[n, d]`` that come in batches, as `MomentsResult`.

    Raises:
        ForesightError: a batch is invalid; at ``compute``, there are fewer than 2 rows.

    Source: Chan, Golub and LeVeque 1983, eq. 2.1, with the mean kept relative to the first row.

    Example:
        >>> import numpy as np
        >>> moments = Moments()
        >>> moments.update(np.array([[1.0, 10.0], [3.0, 10.0]]))
        >>> moments.update(np.array([[5.0, 10.0]]))
        >>> n, mean, variance, _ = moments.compute()
        >>> n, mean.tolist(), variance.tolist()
        (3, [3.0, 10.0], [4.0, 0.0])
    """

    def compute(self) -> MomentsResult:
        """Return the moments of all rows so far."""
        part = self._scatter()
        covariance = part["xx"] / (part.n - 1)
        return MomentsResult(part.n, part["origin"] + part["mean"], covariance.diagonal().clone(), covariance)
