"""Samples decoded, hashed and prepared ahead of the network, in threads, in the order they are asked for."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch

from foresight_cli.data import Dataset
from foresight_cli.errors import UnusableSample
from foresight_cli.extraction.priority import step_back
from foresight_cli.models import Encoder, Prepared

AHEAD_BYTES = 1 << 30
"""Prepared samples that wait for the network take about so much memory at most."""
AHEAD_SAMPLES = 128


@dataclass(frozen=True)
class Ready:
    """A sample as the network takes it and the hash of its pixels, or why it cannot be used."""

    prepared: Prepared | None
    pixels: torch.Tensor
    error: UnusableSample | None


class Reader:
    """Reads ahead of whoever asks; use as a context manager."""

    def __init__(self, dataset: Dataset, model: Encoder) -> None:
        self._dataset = dataset
        self._model = model
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        threads = min(2 * cores, 16)  # more than cores: some of them wait for the disk
        self._threads = threads
        self._largest = 0
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
        while True:
            while self._room(waiting) and (row := next_row(not waiting)) is not None:
                waiting.append(self._pool.submit(self._one, row))
            if not waiting:
                return
            yield waiting.popleft().result()

    def _room(self, waiting: deque[Future[Ready]]) -> bool:
        """Whether one more may be begun: what is not done yet may turn out as large as the largest so far."""
        done = [future.result() for future in waiting if future.done() and not future.exception()]
        begun = len(waiting) - len(done)
        sizes = [ready.prepared.bytes for ready in done if ready.prepared is not None]
        self._largest = max([self._largest, *sizes])
        if not waiting:
            return True
        if begun >= 2 * self._threads or len(waiting) >= AHEAD_SAMPLES:
            return False
        return sum(sizes) + (begun + 1) * self._largest <= AHEAD_BYTES

    def _one(self, row: int) -> Ready:
        try:
            clip = self._dataset.clip(row)
            prepared = self._model.prepare(clip, self._dataset.samples[row].id)
        except UnusableSample as error:
            return Ready(None, torch.empty(0), error)
        return Ready(prepared, torch.frombuffer(bytearray(clip.digest()), dtype=torch.uint8), None)
