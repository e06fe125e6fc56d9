"""Intrinsic dimension from nearest-neighbour distances: maximum likelihood and TwoNN.

Both use each distinct row once: a copy at distance 0 carries no information about dimension and breaks the logarithm.
Near copies remain, and they inflate the arithmetic mean without limit; `duplicate_groups` finds them.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.duplicates import first_of_each
from foresight_cli.metrics.neighbors import nearest_neighbors
from foresight_cli.metrics.space import Space, SpaceLike, as_space
from foresight_cli.metrics.validation import check_choice, check_count

# Below this share of |a|^2 + |b|^2, the sum |a|^2 + |b|^2 - 2ab has lost more than four of its sixteen digits.
_NEAR = 1e-4


def mle_dimension(x: SpaceLike, *, k: int = 20, average: str = "harmonic") -> float:
    """Maximum-likelihood dimension of ``x [n, d]`` from the distances T_1 .. T_k to each row's ``k`` nearest others.

    Row i gives m_i = (k - 1) / sum over j < k of log(T_k / T_j). ``harmonic`` averages the 1 / m_i, which maximises the
    joint likelihood; ``arithmetic`` averages the m_i, as much older code does, and a few near-duplicates can then
    raise it without limit. Both underestimate dimensions above about 10. Report k = 10, 20, 40.

    Raises:
        ForesightError: ``x`` is invalid, has fewer than k + 1 distinct rows, or equal distances leave it undefined.

    Source: Levina and Bickel 2004, eq. 8; harmonic mean: MacKay and Ghahramani 2005. Equals
    ``skdim.id.MLE().fit(x, n_neighbors=k, comb="mle")``.

    Example:
        >>> import numpy as np
        >>> plane = np.random.default_rng(0).standard_normal((500, 2)) @ np.ones((2, 2)).cumsum().reshape(2, 2)
        >>> round(mle_dimension(plane), 2)
        1.83
    """
    check_choice(average, ("harmonic", "arithmetic"), "average")
    if k < 2:
        raise ForesightError(f"k={k}: wanted at least 2 neighbours")
    distances = _neighbor_distances(x, k, "mle_dimension")
    inverse = (distances[:, -1:] / distances[:, :-1]).log().sum(dim=1) / (k - 1)
    if average == "harmonic":
        mean = float(inverse.mean())
        if mean == 0:
            raise ForesightError(
                "x has rows that are all equally far from their neighbours: its dimension is undefined"
            )
        return 1 / mean
    flat = int((inverse == 0).sum())
    if flat:
        raise ForesightError(
            f"x has {flat} rows whose {k} nearest are all equally far: their arithmetic mean is infinite; "
            "use average='harmonic'"
        )
    return float((1 / inverse).mean())


def twonn_dimension(x: SpaceLike, *, discard: float = 0.1) -> float:
    """TwoNN dimension of ``x [n, d]``: the slope through the origin of -log(1 - F(mu)) on log(mu), mu = T_2 / T_1.

    F is the empirical distribution, i / n at the i-th smallest mu, counted from 1. The share ``discard`` of the mu, the
    largest ones, is left out; the largest mu, where F is 1, always is.

    Raises:
        ForesightError: ``x`` is invalid, has fewer than 3 distinct rows or only equal distances, or ``discard`` is not
            within 0 .. 1.

    Source: Facco et al. 2017, Scientific Reports 7:12140. Equals ``skdim.id.TwoNN(discard_fraction=discard)``.

    Example:
        >>> import numpy as np
        >>> plane = np.random.default_rng(0).standard_normal((500, 2)) @ np.ones((2, 5))
        >>> round(twonn_dimension(plane), 2)
        0.96
    """
    if not 0 <= discard < 1:
        raise ForesightError(f"discard={discard}: wanted a share from 0, below 1")
    distances = _neighbor_distances(x, 2, "twonn_dimension")
    log_mu = (distances[:, 1] / distances[:, 0]).log().sort().values.cpu().numpy()
    n = len(log_mu)
    kept = log_mu[: min(int(n * (1 - discard)), n - 1)]
    if not kept.any():
        raise ForesightError("x has rows whose two nearest are equally far: its TwoNN dimension is undefined")
    expected = -np.log1p(-np.arange(1, len(kept) + 1) / n)
    return float(kept @ expected / (kept @ kept))


def _neighbor_distances(x: SpaceLike, k: int, measure: str) -> torch.Tensor:
    """Return distances ``[m, k]`` from each of the m distinct rows to its k nearest others, the nearest first."""
    whole = as_space(x, "x", measure=measure, min_rows=2)
    kept = np.unique(first_of_each(whole.values))
    distinct = whole if len(kept) == len(whole) else Space(whole.values[torch.from_numpy(kept).to(whole.device)])
    if len(distinct) < k + 1:
        raise ForesightError(f"x has {len(distinct)} distinct rows: {measure} wants at least {k + 1} at k={k}")
    check_count(k, "k", low=1, high=len(distinct) - 1)
    space = distinct.distances()
    neighbors = nearest_neighbors(space, k, np.random.default_rng(0))
    scale = space.norms[:, None] + space.norms[neighbors.indices]
    near, place = torch.nonzero(neighbors.squared < _NEAR * scale, as_tuple=True)
    neighbors.squared[near, place] = space.of_pairs(near, neighbors.indices[near, place]).square()
    return neighbors.squared.sqrt().sort(dim=1).values.clamp_min(math.ulp(0.0))
