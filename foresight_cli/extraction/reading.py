"""Reading ahead of the network: samples are decoded, hashed and prepared in threads, and returned in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch

from foresight_cli.data import Dataset
from foresight_cli.errors import UnusableSample
from foresight_cli.machine.devices import usable_cores
from foresight_cli.machine.priority import step_back
from foresight_cli.models import Encoder, Prepared

AHEAD_BYTES = 1 << 30
"""Approximate limit on the memory of prepared samples that wait for the network."""
AHEAD_SAMPLES = 128


@dataclass(frozen=True)
class Ready:
    """A prepared sample and the hash of its pixels, or the reason why it cannot be used."""

    prepared: Prepared | None
    pixels: torch.Tensor
    error: UnusableSample | None


class Reader:
    """Reader that works ahead of its caller; use it as a context manager."""

    def __init__(self, dataset: Dataset, model: Encoder) -> None:
        self._dataset = dataset
        self._model = model
        threads = min(2 * usable_cores(), 16)  # more than cores: some threads wait for the disk
        self._threads = threads
        self._largest = 0
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="read", initializer=step_back)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def read(self, next_row: Callable[[bool], int | None]) -> Iterator[Ready]:
        """Yield the samples of the rows that ``next_row`` returns, in order.

        Args:
            next_row: called with False while samples are being read, when None means "not now". Called with True if
                none is being read: it may then wait for one, and None means the end.
        """
        waiting: deque[Future[Ready]] = deque()
        while True:
            while self._room(waiting) and (row := next_row(not waiting)) is not None:
                waiting.append(self._pool.submit(self._prepare, row))
            if not waiting:
                return
            yield waiting.popleft().result()

    def _room(self, waiting: deque[Future[Ready]]) -> bool:
        """Check whether another sample may be begun; unfinished ones count as large as the largest so far."""
        done = [future.result() for future in waiting if future.done() and not future.exception()]
        begun = len(waiting) - len(done)
        sizes = [ready.prepared.bytes for ready in done if ready.prepared is not None]
        self._largest = max([self._largest, *sizes])
        if not waiting:
            return True
        if begun >= 2 * self._threads or len(waiting) >= AHEAD_SAMPLES:
            return False
        return sum(sizes) + (begun + 1) * self._largest <= AHEAD_BYTES

    def _prepare(self, row: int) -> Ready:
        try:
            clip = self._dataset.clip(row)
            prepared = self._model.prepare(clip, self._dataset.samples[row].id)
        except UnusableSample as error:
            return Ready(None, torch.empty(0), error)
        return Ready(prepared, torch.frombuffer(bytearray(clip.digest()), dtype=torch.uint8), None)
