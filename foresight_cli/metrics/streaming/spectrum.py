"""Dimension of a space whose rows come in batches: three summaries of its spectrum."""

from __future__ import annotations

from typing import Any

import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.spectrum import check_share, effective_rank_of, pca_dimension_of, shares_of_variance
from foresight_cli.metrics.streaming.moments import CovarianceMetric


class SpectrumMetric(CovarianceMetric):
    """A summary of the eigenvalues of the covariance."""

    def _varying(self) -> torch.Tensor:
        """Return the scatter matrix ``[d, d]``, after a check that the rows vary.

        Raises:
            ForesightError: there are fewer than 2 rows, or all are equal.
        """
        part = self._scatter()
        scatter = part["xx"]
        if not scatter.diagonal().any():
            raise ForesightError(
                f"x is constant: all its {part.n} rows are equal, and {type(self).__name__} wants rows that vary"
            )
        return scatter

    def _shares(self) -> torch.Tensor:
        """Return the eigenvalues as shares of their sum, the largest first."""
        return shares_of_variance(self._varying(), self.seen)


class PCADimension(SpectrumMetric):
    """Smallest number of principal components that hold the share ``variance``: `pca_dimension` of all rows.

    Args:
        variance: above 0, at most 1.
        **kwargs: arguments of ``torchmetrics.Metric``.

    Raises:
        ForesightError: ``variance`` is out of range, or a batch invalid; at ``compute``, there are fewer than 2 rows,
            or all are equal.

    Example:
        >>> import numpy as np
        >>> dimension = PCADimension(variance=0.75)
        >>> dimension.update(np.array([[2.0, 0.0], [-2.0, 0.0]]))
        >>> dimension.update(np.array([[0.0, 1.0], [0.0, -1.0]]))
        >>> int(dimension.compute())
        1
    """

    def __init__(self, variance: float = 0.95, **kwargs: Any) -> None:
        check_share(variance)
        super().__init__(**kwargs)
        self.variance = variance

    def compute(self) -> torch.Tensor:
        """Return the number, an integer tensor without dimensions."""
        return pca_dimension_of(self._shares(), self.variance)


class ParticipationRatio(SpectrumMetric):
    """(sum of eigenvalues)^2 / sum of their squares, of the covariance: `participation_ratio` of all rows.

    Raises:
        ForesightError: a batch is invalid; at ``compute``, there are fewer than 2 rows, or all are equal.

    Source: Gao et al. 2017, bioRxiv 214262.

    Example:
        >>> import numpy as np
        >>> ratio = ParticipationRatio()
        >>> ratio.update(np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
        >>> round(float(ratio.compute()), 4)
        1.4706
    """

    def compute(self) -> torch.Tensor:
        """Return the ratio, a float64 tensor without dimensions."""
        scatter = self._varying()
        ratio: torch.Tensor = scatter.trace() ** 2 / scatter.square().sum()
        return ratio


class EffectiveRank(SpectrumMetric):
    """Exponential of the entropy of the covariance eigenvalues: `effective_rank` of all rows.

    Raises:
        ForesightError: a batch is invalid; at ``compute``, there are fewer than 2 rows, or all are equal.

    Source: Roy and Vetterli 2007, with the deviation that `effective_rank` states.

    Example:
        >>> import numpy as np
        >>> rank = EffectiveRank()
        >>> rank.update(np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
        >>> round(float(rank.compute()), 4)
        1.6494
    """

    def compute(self) -> torch.Tensor:
        """Return the rank, a float64 tensor without dimensions."""
        return effective_rank_of(self._shares())
