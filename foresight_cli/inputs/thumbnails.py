"""Thumbnails of the retrieval examples, and of samples that are alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import ImageOps

from foresight_cli.data import Dataset
from foresight_cli.data.dataset import FileDataset

MOST_SETS, MOST_BESIDE = 5, 6
NAMES = ("neighborhood/query", "neighborhood/source", "neighborhood/target")


def with_thumbnails(
    arrays: dict[str, np.ndarray], ids: Sequence[str], dataset: Dataset | None
) -> dict[str, np.ndarray]:
    """Replace the rows of the examples by indices into ``thumbnails``; leave the examples out without the pictures.

    Args:
        arrays: with the examples as indices of scored rows, or without examples.
        ids: sample id of each scored row.
        dataset: of the pictures; None if they are not available.
    """
    if dataset is None or any(name not in arrays for name in NAMES):
        return {name: array for name, array in arrays.items() if name not in NAMES}
    rows = sorted({int(row) for name in NAMES for row in arrays[name].ravel()})
    at = {sample.id: i for i, sample in enumerate(dataset.samples)}
    pictures = [_small(dataset, at[ids[row]]) for row in rows]
    index = {row: i for i, row in enumerate(rows)}
    moved = {name: np.vectorize(index.__getitem__, otypes=[np.int32])(arrays[name]) for name in NAMES}
    return {**arrays, **moved, "thumbnails": np.stack(pictures)}


def duplicate_thumbnails(examples: Sequence[Sequence[str]], dataset: Dataset | None) -> dict[str, np.ndarray]:
    """Return thumbnails of a few sets of samples that are alike; empty without the pictures.

    Args:
        examples: sets of sample ids.
        dataset: of the pictures; None if they are not available.
    """
    if dataset is None:
        return {}
    at = {sample.id: i for i, sample in enumerate(dataset.samples)}
    numbered = [
        (number, _small(dataset, at[sample_id]))
        for number, ids in enumerate(examples[:MOST_SETS])
        for sample_id in ids[:MOST_BESIDE]
        if sample_id in at
    ]
    if not numbered:
        return {}
    sets, pictures = zip(*numbered, strict=True)
    return {"duplicates/set": np.array(sets, dtype=np.int32), "duplicates/thumbnails": np.stack(pictures)}


def _small(dataset: Dataset, index: int) -> np.ndarray:
    frame = dataset.first_frame(index) if isinstance(dataset, FileDataset) else dataset.clip(index).frames[0]
    return np.asarray(ImageOps.pad(frame, (64, 64), color="white"), dtype=np.uint8)
