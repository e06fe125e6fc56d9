"""Samples decoded, hashed and prepared ahead of the network, in threads, in the order they are asked for."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch

from foresight_cli.data import Dataset, UndecodableImage
from foresight_cli.extraction.priority import step_back
from foresight_cli.models import LatentModel, Prepared

AHEAD_BYTES = 1 << 30
"""Prepared samples that wait for the network take about so much memory at most."""
AHEAD_SAMPLES = 128


@dataclass(frozen=True)
class Ready:
    """A sample as the network takes it and the hash of its pixels, or why it cannot be decoded."""

    prepared: Prepared | None
    pixels: torch.Tensor
    error: UndecodableImage | None


class Reader:
    """Reads ahead of whoever asks; use as a context manager."""

    def __init__(self, dataset: Dataset, model: LatentModel) -> None:
        self._dataset = dataset
        self._model = model
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        threads = min(2 * cores, 16)  # more than cores: some of them wait for the disk
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="read", initializer=step_back)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def read(self, next_row: Callable[[bool], int | None]) -> Iterator[Ready]:
        """The samples of the rows that ``next_row`` gives, in order.

        Args:
            next_row: called with False while there are samples in hand: None then is for "not now". Called with True
                where there are none: it may wait for one, and None is for the end.
        """
        waiting: deque[Future[Ready]] = deque()
        ahead = 2
        while True:
            while len(waiting) < ahead and (row := next_row(not waiting)) is not None:
                waiting.append(self._pool.submit(self._one, row))
            if not waiting:
                return
            ready = waiting.popleft().result()
            if ready.prepared is not None:
                ahead = max(2, min(AHEAD_SAMPLES, AHEAD_BYTES // max(ready.prepared.bytes, 1)))
            yield ready

    def _one(self, row: int) -> Ready:
        try:
            clip = self._dataset.clip(row)
        except UndecodableImage as error:
            return Ready(None, torch.empty(0), error)
        prepared = self._model.prepare(clip, self._dataset.samples[row].id)
        return Ready(prepared, torch.frombuffer(bytearray(clip.digest()), dtype=torch.uint8), None)
