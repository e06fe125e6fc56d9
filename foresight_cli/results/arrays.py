"""``figures.safetensors``, beside ``results.yaml``: the arrays that figures are drawn from.

The names, where ``S`` is an index into :attr:`Analysis.spaces`; an array that was not measured is absent:

- ``tsne/S`` ``[n, 2]``: t-SNE of a space; ``label`` ``[n]``: index into the sorted labels, -1 for none.
- ``spectrum/S`` ``[r]``: cumulative share of variance of the principal components.
- ``channels/variance`` ``[C]``, ``channels/correlation`` ``[C, C]``: of the target's channels.
- ``spatial/autocorrelation`` ``[h, w]``: mean correlation of target cells that are (dy, dx) apart;
  ``spatial/variance`` ``[h, w]``: variance of each cell, mean over channels.
- ``probe/true`` and ``probe/predicted`` ``[n, 4]``: the target's first principal components, held out.
- ``rsa/source`` and ``rsa/target`` ``[m]``: distances of a sample of pairs; ``rsa/same`` ``[m]`` 1 within a category.
- ``rsa/ranks`` ``[40, 40]``: share of pairs by rank in the source (rows) and in the target (columns).
- ``rsa/source_categories`` and ``rsa/target_categories`` ``[c, c]``: mean distance between categories.
- ``neighborhood/ranks`` ``[n]``: rank in the target of each row's nearest neighbour in the source (1 is best).
- ``neighborhood/query`` ``[q]``, ``neighborhood/source``, ``neighborhood/target`` ``[q, 5]``: rows of ``thumbnails``.
- ``thumbnails`` ``[m, 64, 64, 3]`` uint8.
- ``duplicates/thumbnails`` ``[m, 64, 64, 3]`` uint8 and ``duplicates/set`` ``[m]``: index into the examples of
  :class:`Duplicates`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from foresight_cli.errors import ForesightError
from foresight_cli.latents.storage.atomic import write_atomic


def stored(array: np.ndarray) -> np.ndarray:
    """Convert ``array`` for storage: numbers to single precision unless one is too large for it, counts to 32 bits.

    Example:
        >>> [stored(np.array([size])).dtype.name for size in (1.5, 1e60, 3)]
        ['float32', 'float64', 'int32']
    """
    if array.dtype.kind == "f":
        return array.astype(np.float32) if np.abs(array).max(initial=0.0) <= np.finfo(np.float32).max else array
    return array.astype(np.float32 if array.dtype.kind == "b" else np.int32)


def save_arrays(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Write ``arrays`` to ``path`` as safetensors."""
    from safetensors.numpy import save

    write_atomic(path, save({name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())}))


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read arrays written by :func:`save_arrays`.

    Raises:
        ForesightError: the file does not exist, or it is not safetensors.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return dict(load(path.read_bytes()))
    except (OSError, SafetensorError) as error:
        raise ForesightError(f"cannot read {path}: {error}") from None
