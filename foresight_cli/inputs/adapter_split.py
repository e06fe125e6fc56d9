"""The split of an adapter's pairs into training, validation and test rows, by whole groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from foresight_cli.config.verdict import LEAST_GROUPS
from foresight_cli.data.sample_size import LEAST_ROWS
from foresight_cli.errors import ForesightError
from foresight_cli.inputs.split import PAIR_ROWS
from foresight_cli.training.fit import Parts
from foresight_cli.training.pairs import Pairs


@dataclass(frozen=True)
class SplitRows:
    """Numbers of the pairs in each part ``[.]``, and the group of each pair as a number ``[n]``."""

    train: torch.Tensor
    validation: torch.Tensor
    test: torch.Tensor
    codes: np.ndarray

    def parts(self, pairs: Pairs) -> Parts:
        """Return the pairs of each part."""
        return Parts(
            pairs.part(self.train),
            pairs.part(self.validation),
            pairs.part(self.test),
            self.codes[self.validation.numpy()],
        )


def refuse_small_split(groups: Sequence[str], shares: Sequence[float]) -> None:
    """Check, before anything is read, that each part of a split can get enough rows.

    Raises:
        ForesightError: a part would have fewer than `LEAST_ROWS` rows even if it drew the largest of ``groups``.
    """
    _, sizes = np.unique(np.asarray(groups), return_counts=True)
    largest = np.sort(sizes)[::-1]
    drawn = np.diff([0, *_edges(shares, len(sizes))[:2], len(sizes)])
    _refuse_small_part(shares, [int(largest[:count].sum()) for count in drawn], len(groups))


def _edges(shares: Sequence[float], groups: int) -> npt.NDArray[np.int64]:
    """Return the end of each part in the shuffled order of the groups."""
    return np.round(np.cumsum(shares) * groups).astype(np.int64)


def _refuse_small_part(shares: Sequence[float], sizes: Sequence[int], rows: int) -> None:
    for size, name in zip(sizes, ("training", "validation", "test"), strict=True):
        if size < LEAST_ROWS:
            raise ForesightError(
                f"split={[float(share) for share in shares]} leaves {size} {name} rows of {rows}: wanted {LEAST_ROWS} "
                "or more, so give it a larger share"
            )


def split_rows(groups: Sequence[str], shares: Sequence[float], seed: int) -> SplitRows:
    """Split into training, validation and test rows, by whole groups in a seeded order; at most `PAIR_ROWS` are tested.

    Raises:
        ForesightError: there are too few groups, or a part has fewer than 3 rows.
    """
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < LEAST_GROUPS:
        raise ForesightError(
            f"{len(names)} independent samples cannot be split three ways; at least {LEAST_GROUPS} are needed"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    edges = _edges(shares, len(names))
    part_of = np.empty(len(names), dtype=int)
    part_of[order] = np.searchsorted(edges, np.arange(len(names)), side="right")
    rows = [torch.from_numpy(np.flatnonzero(part_of[codes] == part)) for part in range(3)]
    _refuse_small_part(shares, [len(part) for part in rows], len(codes))
    place = np.empty(len(names), dtype=int)
    place[order] = np.arange(len(names))
    first = np.argsort(place[codes[rows[2].numpy()]], kind="stable")[:PAIR_ROWS]
    return SplitRows(rows[0], rows[1], rows[2][torch.from_numpy(np.sort(first))], codes)
