"""Categories within which the spaces are compared: those of the data, or clusters if the data has none."""

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
    """Return the rows that measures of categories use: those with a label that another row has too.

    Empty if fewer than two labels are shared: they cannot distinguish rows.
    """
    counts = Counter(label for label in labels if label is not None)
    shared = {label for label, count in counts.items() if count > 1}
    return [row for row, label in enumerate(labels) if label in shared] if len(shared) > 1 else []


def category_rows(labels: Sequence[str | None]) -> CategoryRows:
    """Count the rows that measures of categories use, and those left out, with the reason."""
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
    """Return clusters ``[n]`` of principal coordinates ``[n, r]``, of about ten rows each.

    Many small clusters are better than few large ones: a part of one category is as good as the category, but a cluster
    that spans two is not. They are made from the target alone, so that a permutation within them stays valid for a
    source that is independent of the target.

    Source: ``sklearn.cluster.KMeans`` on the first 50 components.
    """
    number = max(2, len(coordinates) // ROWS_PER_CLUSTER)
    rows = coordinates[:, :COMPONENTS].cpu().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # raised if there are fewer distinct rows than clusters
        assigned: np.ndarray = KMeans(number, n_init=1, random_state=seed).fit_predict(rows)
    return assigned
