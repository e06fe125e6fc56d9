"""Categories that a likeness must go beyond: the data's own, and clusters that stand in for those nobody gave."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from foresight_cli.results import CategoryRows

COMPONENTS = 50
ROWS_PER_CLUSTER = 10


def categorised(labels: Sequence[str | None]) -> list[int]:
    """The rows that measures of categories are of: those with a label that another row has too.

    None where there are not two such labels: nothing is told apart then.
    """
    counts = Counter(label for label in labels if label is not None)
    shared = {label for label, count in counts.items() if count > 1}
    return [row for row, label in enumerate(labels) if label in shared] if len(shared) > 1 else []


def category_rows(labels: Sequence[str | None]) -> CategoryRows:
    """How many rows measures of categories are of, and how many are left out of them, for what reason."""
    counts = Counter(label for label in labels if label is not None)
    shared = [label for label, count in counts.items() if count > 1]
    reason = None
    if not counts:
        reason = "the data has no categories"
    elif len(counts) == 1:
        reason = f"all labelled rows are of one category, {next(iter(counts))!r}"
    elif not shared:
        reason = "every category has a single row"
    elif len(shared) == 1:
        reason = f"{shared[0]!r} is the only category of more than one row"
    return CategoryRows(
        scored=len(categorised(labels)),
        unlabelled=sum(label is None for label in labels),
        alone=sum(count == 1 for count in counts.values()),
        reason=reason,
    )


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
