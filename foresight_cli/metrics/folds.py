"""Cross-validation folds over groups of rows."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.validation import Labels, as_codes, check_count

Fold: TypeAlias = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


def grouped_folds(groups: Labels, folds: int, seed: int) -> list[Fold]:
    """Return ``folds`` pairs (train rows, test rows): each row is tested once, no group is on both sides of a split.

    Groups are shuffled by ``seed``, then placed from the largest to the smallest, each into the fold with the fewest
    rows: fold sizes differ by at most the largest group. Row indices are ascending.

    Raises:
        ForesightError: a group is None or NaN, or there are fewer groups than folds, or fewer than 2 folds.

    Example:
        >>> for train, test in grouped_folds(["a", "a", "b", "c"], folds=2, seed=0):
        ...     print(train.tolist(), test.tolist())
        [2, 3] [0, 1]
        [0, 1] [2, 3]
    """
    codes = as_codes(groups, len(groups), "groups")
    sizes = np.bincount(codes)
    if len(sizes) == 1:  # the range of folds would be empty: "2 to 1"
        raise ForesightError(f"all {len(codes)} rows are in one group: folds want at least 2 groups")
    check_count(folds, "folds", low=2, high=len(sizes), why=f" for {len(sizes)} groups")
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    fold_of = np.empty(len(sizes), dtype=np.int64)
    rows_in = np.zeros(folds, dtype=np.int64)
    for group in order:
        fold_of[group] = rows_in.argmin()
        rows_in[fold_of[group]] += sizes[group]
    of_row = fold_of[codes]
    return [(np.flatnonzero(of_row != fold), np.flatnonzero(of_row == fold)) for fold in range(folds)]
