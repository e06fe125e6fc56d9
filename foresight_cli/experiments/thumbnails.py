"""The pictures behind the retrieval examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import ImageOps

from foresight_cli.data import Dataset

NAMES = ("neighborhood/query", "neighborhood/source", "neighborhood/target")


def with_thumbnails(
    arrays: dict[str, np.ndarray], ids: Sequence[str], dataset: Dataset | None
) -> dict[str, np.ndarray]:
    """Replace the rows of the examples by indices into ``thumbnails``; without the pictures, leave the examples out.

    Args:
        arrays: with the examples as indices of scored rows.
        ids: sample id of each scored row.
        dataset: where the pictures are.
    """
    if dataset is None:
        return {name: array for name, array in arrays.items() if name not in NAMES}
    rows = sorted({int(row) for name in NAMES for row in arrays[name].ravel()})
    at = {sample.id: i for i, sample in enumerate(dataset.samples)}
    pictures = [ImageOps.pad(dataset.clip(at[ids[row]]).frames[0], (64, 64), color="white") for row in rows]
    index = {row: i for i, row in enumerate(rows)}
    moved = {name: np.vectorize(index.__getitem__, otypes=[np.int32])(arrays[name]) for name in NAMES}
    return {**arrays, **moved, "thumbnails": np.stack([np.asarray(p, dtype=np.uint8) for p in pictures])}
