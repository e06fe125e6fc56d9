"""Batches: the choice of the samples that go through the network together, and their number."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import TypeVar

import torch

from foresight_cli.errors import ForesightError
from foresight_cli.machine.memory import free_bytes, peak_of
from foresight_cli.models import Prepared

log = logging.getLogger(__name__)
T = TypeVar("T")

MOST = {"cpu": 16, "cuda": 64}
"""Default limit of samples per forward pass: more do not use the device better."""
LONGER = 1.2
SHARE = 0.6
"""Share of the free memory that a forward pass may take."""
PADDING = 1.125
"""Largest ratio of sequence lengths in a padded batch: at most an eighth of the work is wasted."""


class BatchSize:
    """Samples per forward pass: set by the user, or what fits in memory; halved if memory still runs out."""

    def __init__(self, asked: int | None, device: str, *, sharing: int = 1) -> None:
        """Start with the size ``asked``, or the default; ``sharing`` processes use the same memory."""
        self.device = device
        self._sharing = sharing
        self.size = asked or MOST.get(device.split(":")[0], 16)
        self._measured = inf if asked else 0.0  # length of the longest sample that is known to fit

    def measure(self, forward: Callable[[Sequence[Prepared]], object], largest: Prepared) -> None:
        """Run ``forward`` on only ``largest`` and lower the size to what fits in the free memory.

        This is done once, and again when a much longer sample comes.

        The size is a power of two, so that a little more or less free memory gives the same batches and the same bytes.
        """
        if largest.length <= LONGER * self._measured:
            return
        self._measured = largest.length
        free = free_bytes(self.device)
        took = peak_of(lambda: list(self.run(forward, [largest])), self.device)
        if not took:
            return
        fits = max(int(SHARE * free / (took * self._sharing)), 1)
        while self.size > fits:
            self.size //= 2

    def run(self, forward: Callable[[Sequence[Prepared]], T], batch: Sequence[Prepared]) -> Iterator[tuple[int, T]]:
        """Run ``forward`` over ``batch``, in pieces if memory runs out; yield the offset of each piece and its result.

        Raises:
            ForesightError: a single sample does not fit.
        """
        start = 0
        while start < len(batch):
            piece = batch[start : start + self.size]
            try:
                done = forward(piece)
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error):
                    raise
                self._halve(piece)
                continue
            yield start, done
            start += len(piece)

    def _halve(self, piece: Sequence[Prepared]) -> None:
        if len(piece) == 1:
            raise ForesightError(
                f"not enough memory on {self.device} for {piece[0].sample_id!r} alone. Try model.dtype=bfloat16, a "
                "smaller model.resolution, or another device"
            )
        self.size = max(len(piece) // 2, 1)
        log.warning("out of memory with %d samples per pass: continuing with %d", len(piece), self.size)
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()


def _out_of_memory(error: Exception) -> bool:
    message = str(error)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in message


def batches(prepared: Sequence[Prepared], size: int, *, pads: bool) -> Iterator[list[int]]:
    """Yield the rows of each batch, each row once: of one shape, or of similar length if the model ``pads``."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for row, sample in enumerate(prepared):
        by_shape.setdefault(sample.shape, []).append(row)
    left: list[int] = []
    for rows in by_shape.values():
        whole = len(rows) - len(rows) % size if pads else len(rows)
        for start in range(0, whole, size):
            yield rows[start : min(start + size, whole)]
        left += rows[whole:]
    left.sort(key=lambda row: (prepared[row].length, row))
    while left:
        longest = PADDING * prepared[left[0]].length
        fit = [row for row in left[:size] if prepared[row].length <= longest]
        yield fit
        left = left[len(fit) :]
