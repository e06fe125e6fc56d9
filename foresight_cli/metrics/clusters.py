"""Separation of labels in a space: silhouette and k-NN accuracy, by scikit-learn.

Diagnostics only: classes that are separated in both spaces inflate every similarity between them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.metrics import silhouette_score
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.folds import Fold, grouped_folds
from foresight_cli.metrics.space import GRAM_ROWS, SpaceLike, as_space
from foresight_cli.metrics.validation import Labels, as_codes, check_count


def silhouette(x: SpaceLike, labels: Labels) -> float:
    """Mean silhouette of ``labels [n]`` over the rows of ``x [n, d]`` (Euclidean): -1 to 1.

    Time n^2 d on the CPU: above about 10,000 rows, pass a stratified sample.

    Raises:
        ForesightError: ``x`` or ``labels`` is invalid, or there are fewer than 2 or more than n - 1 different labels.

    Source: Rousseeuw 1987; ``sklearn.metrics.silhouette_score``.

    Example:
        >>> round(silhouette([[0.0], [1.0], [10.0], [11.0]], ["a", "a", "b", "b"]), 4)
        0.8997
    """
    values, metric, codes = _labelled(x, labels, "silhouette", min_rows=3)
    classes = int(codes.max()) + 1
    if not 2 <= classes <= len(values) - 1:
        raise ForesightError(
            f"labels has {classes} different values for {len(values)} rows: silhouette wants 2 to n - 1"
        )
    return float(silhouette_score(values, codes, metric=metric))


def knn_accuracy(
    x: SpaceLike,
    labels: Labels,
    *,
    k: int = 5,
    folds: int = 5,
    groups: Labels | None = None,
    seed: int = 0,
) -> float:
    """Share of the rows of ``x [n, d]`` whose label is that of most of their ``k`` nearest training rows.

    Cross-validated in ``folds`` stratified folds (n folds: leave one out). With ``groups`` (duplicates, clips) the
    folds are over groups instead, and not stratified. Without them, a row is classified by its own duplicate where
    that is in the training part.

    Raises:
        ForesightError: ``x``, ``labels`` or ``groups`` is invalid, ``k`` or ``folds`` is impossible, there is only one
            label, or a label has fewer rows than there are folds.

    Source: ``sklearn.neighbors.KNeighborsClassifier``.

    Example:
        >>> knn_accuracy([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]], [0, 0, 0, 1, 1, 1], k=1, folds=3)
        1.0
    """
    values, metric, codes = _labelled(x, labels, "knn_accuracy", min_rows=3)
    n = len(values)
    check_count(folds, "folds", low=2, high=n, why=f" for {n} rows")
    splits = _splits(codes, labels, folds, groups, seed)
    check_count(
        k, "k", low=1, high=min(len(train) for train, _ in splits), why=", the rows of the smallest training part"
    )
    predictions = cross_val_predict(KNeighborsClassifier(n_neighbors=k, metric=metric), values, codes, cv=splits)
    return float((predictions == codes).mean())


def _labelled(
    x: SpaceLike, labels: Labels, measure: str, min_rows: int
) -> tuple[npt.NDArray[np.float64], str, npt.NDArray[np.int64]]:
    """Return the input of scikit-learn: the distances where they fit, else the rows; the metric; the label codes."""
    space = as_space(x, "x", measure=measure, min_rows=min_rows)
    codes = as_codes(labels, len(space), "labels")
    if len(space) > GRAM_ROWS:
        # Centred, because scikit-learn computes distances from inner products, which lose digits far from the origin.
        return space.centred.cpu().numpy(), "euclidean", codes
    squared = space.distances().squared(slice(None)).fill_diagonal_(0)
    return squared.sqrt_().cpu().numpy(), "precomputed", codes


def _splits(codes: npt.NDArray[np.int64], labels: Labels, folds: int, groups: Labels | None, seed: int) -> list[Fold]:
    sizes = np.bincount(codes)
    if len(sizes) < 2:
        raise ForesightError("labels has 1 different value: knn_accuracy wants at least 2")
    if groups is not None:
        return grouped_folds(groups, folds, seed)
    if folds == len(codes):
        return list(KFold(folds).split(codes))
    if sizes.min() < folds:
        rare = list(labels)[int(np.argmax(codes == sizes.argmin()))]
        raise ForesightError(
            f"labels has {sizes.min()} rows of {rare!r}: {folds} stratified folds want at least {folds} of each"
        )
    return list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(codes, codes))
