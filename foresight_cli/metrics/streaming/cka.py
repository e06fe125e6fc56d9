"""Linear CKA of rows that come in batches, exact in one pass."""

from __future__ import annotations

from typing import Any

import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.linear_algebra import scatter_matrix
from foresight_cli.metrics.streaming.moments import MomentMetric, MomentPart
from foresight_cli.metrics.validation import Matrix

# As in `foresight_cli.metrics.cka`: a debiased denominator below this share of the biased one is rounding error.
_NO_STRUCTURE = 1e-12


class AlignmentPart(MomentPart):
    """The sums for linear CKA over rows (x, y) about their mean, with k = |x|^2 and l = |y|^2 of each row."""

    @staticmethod
    def shapes(n: int, d1: int, d2: int) -> dict[str, tuple[int, ...]]:
        """Return shapes of scatter matrices; of sums of k k, k l, l l; and of sums of k z and l z, z = (x, y)."""
        scatters: dict[str, tuple[int, ...]] = {"xx": (d1, d1), "xy": (d1, d2), "yy": (d2, d2)}
        d = d1 + d2
        return {"origin": (d,), "mean": (d,), **scatters, "kk": (), "kl": (), "ll": (), "kz": (d,), "lz": (d,)}

    def _shift(self, by: torch.Tensor) -> None:
        # k becomes k + 2 x.dx + |dx|^2, and l the same with y; the sums of x and of y are 0.
        n, (dx, dy) = self.n, self.sides(by)
        p, q = dx @ dx, dy @ dy
        k, l_ = self["xx"].trace(), self["yy"].trace()
        along_x = torch.cat([self["xx"] @ dx, dx @ self["xy"]])
        along_y = torch.cat([self["xy"] @ dy, self["yy"] @ dy])
        (kx, ky), (lx, ly) = self.sides(self["kz"]), self.sides(self["lz"])
        (xx, _), (xy, yy) = self.sides(along_x), self.sides(along_y)
        self["kk"].add_(4 * (dx @ kx + dx @ xx) + 2 * p * k + n * p * p)
        self["ll"].add_(4 * (dy @ ly + dy @ yy) + 2 * q * l_ + n * q * q)
        self["kl"].add_(2 * (dy @ ky + dx @ lx) + 4 * (dx @ xy) + q * k + p * l_ + n * p * q)
        self["kz"].add_((k + n * p) * by + 2 * along_x)
        self["lz"].add_((l_ + n * q) * by + 2 * along_y)
        self["xx"].addr_(dx, dx, alpha=n)
        self["xy"].addr_(dx, dy, alpha=n)
        self["yy"].addr_(dy, dy, alpha=n)

    def _accumulate(self, rows: torch.Tensor) -> None:
        x, y = self.sides(rows)
        k, l_ = (torch.linalg.vector_norm(side, dim=1).square() for side in (x, y))  # one pass, and no copy
        self["xx"].add_(scatter_matrix(x))
        self["xy"].addmm_(x.T, y)
        self["yy"].add_(scatter_matrix(y))
        self["kk"].add_(k @ k)
        self["kl"].add_(k @ l_)
        self["ll"].add_(l_ @ l_)
        self["kz"].add_(k @ rows)
        self["lz"].add_(l_ @ rows)

    def cka(self, *, debiased: bool) -> torch.Tensor:
        """Return CKA, computed from the sums.

        Raises:
            ForesightError: a side is constant, or (debiased) its rows are all equally far apart.
        """
        k, l_ = self["xx"].trace(), self["yy"].trace()
        for side, total in (("x", k), ("y", l_)):
            if not total:
                raise ForesightError(
                    f"{side} is constant: all its {self.n} rows are equal, and LinearCKA wants rows that vary"
                )
        xy, xx, yy = (self[name].square().sum() for name in ("xy", "xx", "yy"))
        if debiased:
            biased = {"x": xx, "y": yy}
            xy = self._unbiased(xy, self["kl"], k * l_)
            xx, yy = self._unbiased(xx, self["kk"], k * k), self._unbiased(yy, self["ll"], l_ * l_)
            for side, value in (("x", xx), ("y", yy)):
                if value <= _NO_STRUCTURE * biased[side]:
                    raise ForesightError(f"{side} has rows that are all equally far apart: debiased CKA is 0/0 there")
        # Two square roots: the product of huge sums may overflow.
        return xy / (xx.sqrt() * yy.sqrt())

    def _unbiased(self, product: torch.Tensor, together: torch.Tensor, apart: torch.Tensor) -> torch.Tensor:
        n = self.n
        return product - n / (n - 2) * together + apart / ((n - 1) * (n - 2))


class LinearCKA(MomentMetric):
    """Linear CKA of rows ``[n, d1]`` and ``[n, d2]`` that come in batches: exactly `linear_cka` of all rows.

    It needs one pass. Any split of the rows over batches and workers gives the same number up to the last bits. Memory
    is 8 (d1^2 + d1 d2 + d2^2) bytes, 0.88 GB at 3,584 and 8,192, twice that while two parts are merged; time
    n (d1^2 + d1 d2 + d2^2), so for many wide rows use a GPU: ``LinearCKA().to("cuda")``.

    Args:
        debiased: the debiased ratio (True), the biased one (False), or both by name (None).
        **kwargs: arguments of ``torchmetrics.Metric``.

    Raises:
        ForesightError: a batch is invalid; at ``compute``, a side is constant, or (debiased) there are fewer than 4
            rows or only equal distances.

    Source: Kornblith et al. 2019, arXiv 1905.00414, eq. 5; Song et al. 2012, eq. 5, written with
    n(n-3) HSIC = |Cxy|^2 - n/(n-2) sum k l + sum k sum l / ((n-1)(n-2)), k and l the squared lengths of centred rows.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0, 0], [1, 0], [0, 2], [3, 1], [2, 4]])
        >>> y = np.array([[0, 1], [1, 1], [1, 3], [4, 0], [2, 5]])
        >>> first, second = LinearCKA(), LinearCKA()
        >>> first.update(x[:2], y[:2])
        >>> second.update(x[2:], y[2:])
        >>> first.merge_state(second)
        >>> round(float(first.compute()), 6)
        0.662543
    """

    part = AlignmentPart

    def __init__(self, debiased: bool | None = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.debiased = debiased

    def update(self, x: Matrix, y: Matrix) -> None:
        """Add the rows ``x [b, d1]`` and ``y [b, d2]``; b may be 0.

        Raises:
            ForesightError: a batch is invalid, the sides differ in their number of rows, or have other widths than the
                rows before.
        """
        with torch.inference_mode(False), torch.no_grad():
            first, second = self._batch(x, y)
            self._add(0, first, second)

    def compute(self) -> torch.Tensor | dict[str, torch.Tensor]:
        """Return CKA of all rows so far, a float64 tensor without dimensions; for both kinds, a dict of two."""
        self._check_rows(2 if self.debiased is False else 4)
        (part,) = self._merged()
        assert isinstance(part, AlignmentPart)
        if self.debiased is not None:
            return part.cka(debiased=self.debiased)
        return {"debiased": part.cka(debiased=True), "biased": part.cka(debiased=False)}
