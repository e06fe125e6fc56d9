"""The categories that a likeness must go beyond: the data's own, or clusters of the target where it has none."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.cluster import KMeans

from foresight_cli.experiments.scored import Scored
from foresight_cli.metrics.space import Space

COMPONENTS = 50
ROWS_PER_CLUSTER = 10


def known_or_found(rows: Scored, target: Space, seed: int) -> list[str]:
    """The category of each row; without any, the clusters of the target that stand in for categories nobody gave."""
    if rows.labelled:
        return rows.categories
    return [str(code) for code in clusters(target.coordinates, seed)]


def clusters(coordinates: torch.Tensor, seed: int) -> np.ndarray:
    """Clusters ``[n]`` of principal coordinates ``[n, r]``, about ten rows each.

    Many small ones: a cluster that holds a part of one category is as good as the category, one that spans two is not.
    They are made of the target alone, so rows of a source that is independent of it may change places within them.

    Source: ``sklearn.cluster.KMeans`` on the first 50 components.
    """
    number = max(2, len(coordinates) // ROWS_PER_CLUSTER)
    rows = coordinates[:, :COMPONENTS].cpu().numpy()
    found: np.ndarray = KMeans(number, n_init=1, random_state=seed).fit_predict(rows)
    return found
