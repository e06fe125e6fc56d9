"""All measures of two spaces in one pass: CKA, the probe and both spectra, from shared sums."""

from __future__ import annotations

from typing import NamedTuple

import torch

from foresight_cli.metrics.spectrum import shares_of_variance
from foresight_cli.metrics.streaming.cka import AlignmentPart
from foresight_cli.metrics.streaming.probe import LinearProbe, ProbePart, StreamedProbe, joined


class StreamedPair(NamedTuple):
    """Measures of two spaces over all rows.

    Attributes:
        rows: number of rows.
        cka: debiased linear CKA.
        cka_biased: biased linear CKA.
        probe: held-out quality of ridge regression from x to y.
        x_eigenvalues: eigenvalues of the covariance of x, as shares of their sum, the largest first
            ``[min(d1, n - 1)]``.
        y_eigenvalues: the same of y.
    """

    rows: int
    cka: float
    cka_biased: float
    probe: StreamedProbe
    x_eigenvalues: torch.Tensor
    y_eigenvalues: torch.Tensor


class PairPart(AlignmentPart, ProbePart):
    """The sums of one fold that both CKA and the probe need."""

    @property
    def squared_y(self) -> float:
        """Sum of squares of y about its mean."""
        return float(self["yy"].trace())


class SpacePair(LinearProbe):
    """`LinearCKA`, `LinearProbe` and the spectra of x ``[n, d1]`` and y ``[n, d2]`` in one pass, from shared sums.

    The sums of the folds serve the probe; added up, they serve CKA and both covariances. Memory is
    8 folds (d1^2 + d1 d2 + d2^2) bytes, 0.54 GB for five folds of 3,584 and 128 columns. `update` is fastest with
    thousands of rows at a time, because each call moves the sums to a new mean.

    Raises:
        ForesightError: as for `LinearProbe` and `LinearCKA`.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> x = rng.standard_normal((200, 10))
        >>> y = x @ rng.standard_normal((10, 4)) + rng.standard_normal((200, 4))
        >>> pair = SpacePair()
        >>> for start in range(0, 200, 50):
        ...     rows = np.arange(start, start + 50)
        ...     pair.update(x[rows], y[rows], groups=rows)
        >>> result = pair.compute()
        >>> round(result.probe.r2, 2), len(result.x_eigenvalues)
        (0.93, 10)
    """

    part = PairPart

    def compute(self) -> StreamedPair:  # type: ignore[override]
        """Return the measures over all rows so far."""
        self._check_rows(4)
        parts = self._checked_parts()
        probe = self._probe(parts)
        whole = joined(parts)
        assert isinstance(whole, PairPart)
        return StreamedPair(
            rows=whole.n,
            cka=float(whole.cka(debiased=True)),
            cka_biased=float(whole.cka(debiased=False)),
            probe=probe,
            x_eigenvalues=shares_of_variance(whole["xx"], whole.n),
            y_eigenvalues=shares_of_variance(whole["yy"], whole.n),
        )
