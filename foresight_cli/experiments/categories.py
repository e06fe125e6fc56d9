"""Categories that a likeness must go beyond: the data's own, and clusters that stand in for those nobody gave."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

COMPONENTS = 50
ROWS_PER_CLUSTER = 10


def tell_apart(labels: Sequence[str]) -> bool:
    """Whether ``labels`` say anything: at least two differ, and at least two are equal."""
    counts = Counter(labels)
    return len(counts) > 1 and max(counts.values()) > 1


def clusters(coordinates: torch.Tensor, seed: int) -> np.ndarray:
    """Clusters ``[n]`` of principal coordinates ``[n, r]``, about ten rows each.

    Many small ones: a cluster that holds a part of one category is as good as the category, one that spans two is not.
    Made of the target alone, rows of a source that is independent of it may change places within them.

    Source: ``sklearn.cluster.KMeans`` on the first 50 components.
    """
    number = max(2, len(coordinates) // ROWS_PER_CLUSTER)
    rows = coordinates[:, :COMPONENTS].cpu().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different rows than clusters: fewer clusters then
        found: np.ndarray = KMeans(number, n_init=1, random_state=seed).fit_predict(rows)
    return found
