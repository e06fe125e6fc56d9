"""Number of directions that each space uses. It sizes an adapter and warns; the verdict does not use it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from foresight_cli.errors import ForesightError
from foresight_cli.inputs.representation import Representation
from foresight_cli.metrics import effective_rank, mle_dimension, participation_ratio, pca_dimension, twonn_dimension

PCA_SHARES = (0.90, 0.95, 0.99)
"""Shares of the variance for which the number of principal components is given."""


@dataclass(frozen=True)
class Dimensions:
    """Dimensions of :class:`foresight_cli.results.Space`; ``unmeasured`` has the reason for each that is None."""

    mle: float | None
    twonn: float | None
    pca: list[int]
    effective_rank: float
    participation_ratio: float
    top_feature_share: float
    unmeasured: dict[str, str]


def dimensions(space: Representation) -> Dimensions:
    """Return intrinsic dimension (None if too few rows differ), PCA dimension, and the largest feature's share."""
    rows = space.space
    variance = space.values.var(dim=0, correction=0)
    estimators = {
        "MLE": partial(mle_dimension, rows, k=min(20, len(rows) - 2)),
        "Two-NN": partial(twonn_dimension, rows),
    }
    measured: dict[str, float] = {}
    unmeasured: dict[str, str] = {}
    for name, estimate in estimators.items():
        try:
            measured[name] = estimate()
        except ForesightError as error:
            unmeasured[name] = str(error).replace("x has", "it has", 1)
    return Dimensions(
        mle=measured.get("MLE"),
        twonn=measured.get("Two-NN"),
        pca=[pca_dimension(rows, variance=share) for share in PCA_SHARES],
        effective_rank=effective_rank(rows),
        participation_ratio=participation_ratio(rows),
        top_feature_share=float(variance.max() / variance.sum()),
        unmeasured=unmeasured,
    )


def spectrum(space: Representation, components: int = 200) -> np.ndarray:
    """Return the cumulative share of variance of the first principal components ``[<= components]``."""
    variance = space.space.eigenvalues.cpu()
    shares: np.ndarray = (variance.cumsum(0) / variance.sum())[:components].numpy().astype(np.float32)
    return shares
