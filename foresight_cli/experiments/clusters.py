"""Separation of the categories in each space, and statistics of the target's channels and cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.experiments.categories import categorised
from foresight_cli.inputs.representation import Representation
from foresight_cli.metrics import knn_accuracy, silhouette
from foresight_cli.results.arrays import stored

LEAST_MAPPED = 7
"""With fewer rows the perplexity of t-SNE would be below 2: the first two principal components are shown instead."""
ROUNDING = 1e-12
"""A standard deviation up to this, for values around 1, is only rounding."""


@dataclass(frozen=True)
class ClusterScores:
    """Scores of :class:`foresight_cli.results.Space`; None without two categories of at least two rows."""

    silhouette: float | None
    knn_accuracy: float | None
    knn_chance: float | None
    intra_inter_ratio: float | None


def cluster_scores(
    space: Representation, labels: Sequence[str | None], groups: Sequence[str], seed: int
) -> ClusterScores:
    """Return silhouette, grouped 5-NN accuracy and the ratio of distances within and between categories.

    Only rows whose category another row has too are used: long-tailed data has others, and some rows have no label.
    """
    rows = categorised(labels)
    if not rows:
        return ClusterScores(None, None, None, None)
    codes, _ = label_codes([labels[row] for row in rows])
    labelled = space if len(rows) == len(labels) else space.rows(rows)
    own_groups = [groups[row] for row in rows]
    within, between = _mean_distances(labelled, codes)
    return ClusterScores(
        silhouette=silhouette(labelled.space, codes.tolist()),
        knn_accuracy=_knn_accuracy(labelled, codes, own_groups, seed),
        knn_chance=float(np.bincount(codes).max() / len(codes)),
        intra_inter_ratio=within / between if between > 0 else None,
    )


def _knn_accuracy(space: Representation, codes: np.ndarray, groups: Sequence[str], seed: int) -> float | None:
    """Return the 5-NN accuracy; None if too few groups have a category for five folds."""
    try:
        return knn_accuracy(space.space, codes.tolist(), k=5, folds=5, groups=list(groups), seed=seed)
    except ForesightError:
        return None


def label_codes(labels: Sequence[str | None]) -> tuple[np.ndarray, list[str]]:
    """Return each row's index into the sorted categories ``[n]``, -1 for none; and the categories."""
    names = sorted({label for label in labels if label is not None})
    index = {name: i for i, name in enumerate(names)}
    return np.array([-1 if label is None else index[label] for label in labels]), names


def _mean_distances(space: Representation, codes: np.ndarray) -> tuple[float, float]:
    n = len(codes)
    i, j = torch.triu_indices(n, n, offset=1).numpy()
    same = torch.from_numpy(codes[i] == codes[j])
    return float(space.distances[same].mean()), float(space.distances[~same].mean())


def tsne(space: Representation, seed: int) -> np.ndarray:
    """Return t-SNE coordinates ``[n, 2]`` (perplexity 30, of 50 principal components); a picture, not evidence.

    The rows are scaled first: scikit-learn works in single precision, and crashes on squares of distances that overflow
    there. A space of one column, or of few rows, is shown by its principal components instead.

    Raises:
        ForesightError: a value is not finite.
    """
    rows = _standardized(space.rotated[:, :50].numpy())
    if rows.shape[1] < 2 or len(rows) < LEAST_MAPPED or not rows.any():
        return np.pad(rows, ((0, 0), (0, 1)))[:, :2].astype(np.float32)
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(rows) - 1) / 3)
    picture: np.ndarray = TSNE(perplexity=perplexity, init="pca", max_iter=500, random_state=seed).fit_transform(rows)
    return picture.astype(np.float32)


def _standardized(rows: np.ndarray) -> np.ndarray:
    """Return ``rows [n, d]`` centred, over the standard deviation of all values; zeros if all rows are equal."""
    largest = np.abs(rows).max(initial=0.0)
    if not np.isfinite(largest):
        raise ForesightError("its values are not finite")
    if largest == 0:
        return rows
    rows = rows / largest  # so that no square overflows or underflows
    rows = rows - rows.mean(axis=0)
    deviation = rows.std()
    return rows / deviation if deviation > ROUNDING else np.zeros_like(rows)


def channel_arrays(flat: Representation, channels: int) -> dict[str, np.ndarray]:
    """Return variance and correlation of a target's channels, and autocorrelation over its cells.

    Args:
        flat: the target with ``pooling=flat``, a grid ``[C, T, h, w]`` stored channel by channel.
        channels: C.

    Returns:
        ``channels/*`` and ``spatial/*``, as :mod:`foresight_cli.results.arrays` names them; the latter only for a
        square grid of at least 2 x 2 cells.
    """
    n = len(flat.values)
    grid = flat.values.view(n, channels, -1)
    centred = grid - grid.mean(dim=0)  # only what varies between pictures
    variance = centred.square().mean(dim=(0, 2))
    by_channel = centred.transpose(0, 1).flatten(1)
    correlation = torch.corrcoef(by_channel).nan_to_num(0.0)
    arrays = {"channels/variance": variance.numpy(), "channels/correlation": correlation.numpy()}
    side = int(grid.shape[2] ** 0.5)
    if side >= 2 and side * side == grid.shape[2]:
        cells = centred.view(n, channels, side, side)
        arrays["spatial/autocorrelation"] = _autocorrelation(cells).numpy()
        arrays["spatial/variance"] = cells.square().mean(dim=(0, 1)).numpy()
    return {name: stored(array) for name, array in arrays.items()}


def _autocorrelation(cells: torch.Tensor) -> torch.Tensor:
    """Return the mean over channels of the correlation of cells ``dy`` rows and ``dx`` columns apart ``[h, w]``."""
    h, w = cells.shape[2:]
    lags = torch.empty(h, w, dtype=cells.dtype)
    for dy in range(h):
        for dx in range(w):
            a, b = cells[:, :, : h - dy, : w - dx], cells[:, :, dy:, dx:]
            product = (a * b).sum(dim=(0, 2, 3))
            norm = (a.square().sum(dim=(0, 2, 3)) * b.square().sum(dim=(0, 2, 3))).sqrt()
            lags[dy, dx] = (product / norm.clamp_min(1e-300)).mean()
    return lags
