"""Try out the files of a dataset before any work is done, so that a broken one is found at the start.

All files are tried if there are at most `MOST_FILES`, else a seeded sample of that size: first their headers, then one
picture or frame of each, up to `MOST_PIXELS` in all. This takes seconds, however large the data.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import accumulate

import numpy as np

from foresight_cli.config import DataConfig
from foresight_cli.data.dataset import Dataset, FileDataset, UndecodableImage
from foresight_cli.errors import ForesightError
from foresight_cli.machine.devices import usable_cores

MOST_FILES = 2_000
MOST_PIXELS = 500_000_000


def undecodable(dataset: Dataset, most_pixels: int = MOST_PIXELS) -> list[UndecodableImage]:
    """Return the faults of the files of ``dataset`` that were tried, in its order; [] for data that is not in files.

    Raises:
        ForesightError: a file cannot be read at all.
    """
    if not isinstance(dataset, FileDataset):
        return []
    rows = dataset.first_of_each_file()
    drawn = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))[:MOST_FILES]]
    with ThreadPoolExecutor(min(2 * usable_cores(), 16), thread_name_prefix="probe") as pool:
        headers = list(pool.map(partial(_tried, dataset.header), drawn))
        faults = {row: error for row, (_, error) in zip(drawn, headers, strict=True) if error is not None}
        whole = [row for row in drawn if row not in faults]
        spent = accumulate(pixels for pixels, error in headers if error is None)
        decoded = [row for row, total in zip(whole, spent, strict=True) if total <= most_pixels]
        for row, (_, error) in zip(decoded, pool.map(partial(_tried, dataset.first_frame), decoded), strict=True):
            if error is not None:
                faults[row] = error
    return [faults[row] for row in sorted(faults)]


def skips_undecodable(data: DataConfig) -> bool:
    """Check whether samples that cannot be decoded are left out, by ``data.on_error``."""
    return getattr(data, "on_error", "raise") == "skip"


def refuse_undecodable(dataset: Dataset) -> None:
    """Refuse files that cannot be decoded, before any work is done.

    Raises:
        UndecodableImage: one file cannot be decoded.
        ForesightError: several files cannot be decoded.
    """
    faults = undecodable(dataset)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise ForesightError(
            f"{len(faults)} files cannot be decoded, for instance {faults[0].sample_id!r}: {faults[0].reason}. "
            "To leave such files out, add data.on_error=skip"
        )


def _tried(read: Callable[[int], object], row: int) -> tuple[int, UndecodableImage | None]:
    """Return what ``read`` counts in a row, or the row's fault."""
    try:
        count = read(row)
    except UndecodableImage as error:
        return 0, error
    return count if isinstance(count, int) else 0, None
