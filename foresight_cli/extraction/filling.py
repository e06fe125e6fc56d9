"""The work of one process: shards are computed one after another, each committed while the next is computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from foresight_cli.data import Dataset
from foresight_cli.errors import ForesightError, UnfitSample
from foresight_cli.extraction.batching import BatchSize, batches
from foresight_cli.extraction.reading import Reader, Ready
from foresight_cli.latents import Entry, Recipe, Shard
from foresight_cli.latents.shard import refuse_other_width
from foresight_cli.machine.priority import step_back
from foresight_cli.models import Encoder, Prepared, Tap
from foresight_cli.models.not_finite import not_finite_advice

if TYPE_CHECKING:
    from foresight_cli.models.model import Vectors

WAITING_BYTES = 1 << 29
WAITING_BATCHES = 8
"""Upper bounds on buffered samples that wait for others of their shape: memory does not grow with the shard."""


def fill(
    entries: Mapping[Tap, Entry],
    next_shard: Callable[[bool], int | None],
    dataset: Dataset,
    model: Encoder,
    *,
    batch_size: BatchSize,
    skip_undecodable: bool,
    on_begin: Callable[[int], None] = lambda number: None,
    on_samples: Callable[[int], None] = lambda count: None,
    on_shard: Callable[[int], None] = lambda number: None,
) -> None:
    """Compute and commit the shards that ``next_shard`` returns, with one forward pass for all entries that lack one.

    While the network runs on one batch, the next samples are read and the previous shard is written. A kill costs the
    shard that is being computed, and the previous one if it is still being written.

    Args:
        entries: one cache entry for each tap, all over the same slices of ``dataset``.
        next_shard: returns the number of a shard to fill. While there is work left, it is called with False, and None
            means "not now". Without work left, it is called with True: it may wait, and None means the end.
        dataset: the samples.
        model: the model, loaded.
        batch_size: samples per forward pass.
        skip_undecodable: leave out samples that cannot be decoded, or that the model cannot take, and list them in
            the shard.
        on_begin: called with a shard's number before the network runs on it.
        on_samples: called with the number of samples after each forward pass.
        on_shard: called with a shard's number after it is committed.

    Raises:
        UnusableSample: a sample cannot be used, and ``skip_undecodable`` is False.
        ForesightError: latents are not finite, or have different sizes but need the same.
    """
    missing = {tap: set(entry.missing()) for tap, entry in entries.items()}
    widths = {tap: cached_width(entry) for tap, entry in entries.items()}
    recipe = next(iter(entries.values())).recipe
    with Reader(dataset, model) as reader, _Writer(entries, on_shard) as writer:
        rows = _Rows(recipe, next_shard, writer.drain)
        samples = reader.read(rows.next)
        for ready in samples:
            number = rows.begun[0]
            on_begin(number)
            taps = [tap for tap in entries if number in missing[tap]]
            making = _Making(model, taps, batch_size, skip_undecodable, on_samples)
            shards = making.shards(_one_shard(recipe, number, ready, samples))
            for tap, shard in shards.items():
                if shard.ids:
                    widths[tap] = widths[tap] or (shard.ids[0], shard.latents.shape[1])
                    refuse_other_width(widths[tap], (shard.ids[0], shard.latents.shape[1]))
            writer.put(number, shards)
            rows.begun.pop(0)


class _Rows:
    """The rows of one shard after another; at most one more shard is begun than the network is working on."""

    def __init__(self, recipe: Recipe, next_shard: Callable[[bool], int | None], drain: Callable[[], None]) -> None:
        """``drain`` waits for the writer: a worker must report its last shard or its error before it waits for work."""
        self._drain = drain
        self._recipe = recipe
        self._next_shard = next_shard
        self._left: deque[int] = deque()
        self.begun: list[int] = []

    def next(self, wait: bool) -> int | None:
        """Return the next row, or None; see :meth:`Reader.read`."""
        if not self._left and (wait or len(self.begun) < 2):
            if wait:
                self._drain()
            number = self._next_shard(wait)
            if number is not None:
                self.begun.append(number)
                self._left.extend(self._recipe.slice(number))
        return self._left.popleft() if self._left else None


def _one_shard(recipe: Recipe, number: int, first: Ready, others: Iterator[Ready]) -> Iterator[Ready]:
    yield first
    for _ in range(len(recipe.slice(number)) - 1):
        yield next(others)


def cached_width(entry: Entry) -> tuple[str, int] | None:
    """Return a sample that an earlier run has cached in ``entry``, and its number of values."""
    for number in sorted(entry.shard_files()):
        shard = entry.get(number)
        if shard.ids:
            return shard.ids[0], shard.latents.shape[1]
    return None


class _Writer:
    """Thread that commits a shard while the next one is computed; at most one shard waits."""

    def __init__(self, entries: Mapping[Tap, Entry], on_shard: Callable[[int], None]) -> None:
        self._entries = entries
        self._on_shard = on_shard
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="write", initializer=step_back)
        self._under_way: Future[None] | None = None

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self._thread.shutdown(wait=True)  # after an error too: a computed shard is not thrown away
        if error is None:
            self.drain()

    def drain(self) -> None:
        """Wait for the shard that is being written, and raise its error if it failed."""
        if self._under_way is not None:
            self._under_way.result()

    def put(self, number: int, shards: Mapping[Tap, Shard]) -> None:
        self.drain()
        self._under_way = self._thread.submit(self._commit, number, shards)

    def _commit(self, number: int, shards: Mapping[Tap, Shard]) -> None:
        for tap, shard in shards.items():
            self._entries[tap].put(number, shard)
        self._on_shard(number)


@dataclass
class _Making:
    """Computation of one shard of every tap."""

    model: Encoder
    taps: Sequence[Tap]
    batch_size: BatchSize
    skip_undecodable: bool
    on_samples: Callable[[int], None]
    ids: list[str] = field(default_factory=list)
    pixels: list[torch.Tensor] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    unfit: dict[int, str] = field(default_factory=dict)
    latents: dict[Tap, list[torch.Tensor]] = field(default_factory=dict)
    waiting: dict[int, Prepared] = field(default_factory=dict)

    def shards(self, samples: Iterator[Ready]) -> dict[Tap, Shard]:
        self.latents = {tap: [] for tap in self.taps}
        order: list[str] = []
        for ready in samples:
            if ready.error is not None:
                if not self.skip_undecodable:
                    raise ready.error
                self.skipped.append((ready.error.sample_id, ready.error.reason))
                order.append(ready.error.sample_id)
            if ready.prepared is not None:
                order.append(ready.prepared.sample_id)
                self._add(ready.prepared, ready.pixels)
        self._compute(list(self.waiting))
        self._drop_unfit(order)
        if not self.ids:
            nothing = torch.empty(0, 0), torch.empty(0, 32, dtype=torch.uint8)
            return {tap: Shard([], *nothing, self.skipped) for tap in self.taps}
        pixels = torch.stack(self.pixels)
        return {tap: Shard(self.ids, self._stack(tap), pixels, self.skipped) for tap in self.taps}

    def _add(self, sample: Prepared, pixels: torch.Tensor) -> None:
        """Add a sample; the network runs once there are enough of its shape, or too many of all shapes."""
        row = len(self.ids)
        self.ids.append(sample.sample_id)
        self.pixels.append(pixels)
        for vectors in self.latents.values():
            vectors.append(torch.empty(0))
        self.waiting[row] = sample
        same_shape = [other for other, prepared in self.waiting.items() if prepared.shape == sample.shape]
        if len(same_shape) >= self.batch_size.size:
            self._compute(same_shape)
        elif (
            len(self.waiting) >= WAITING_BATCHES * self.batch_size.size
            or sum(prepared.bytes for prepared in self.waiting.values()) >= WAITING_BYTES
        ):
            self._compute(list(self.waiting))

    def _compute(self, rows: list[int]) -> None:
        """Run the network on the samples of ``rows``, and remove them from those that wait."""
        samples = [self.waiting.pop(row) for row in rows]
        if not samples:
            return
        with suppress(UnfitSample):  # it is raised again below, where it is left out or stops the run
            self.batch_size.measure(self._forward, max(samples, key=lambda sample: sample.length))
        for batch in batches(samples, self.batch_size.size, pads=self.model.pads):
            self._run([rows[i] for i in batch], [samples[i] for i in batch])
            self.on_samples(len(batch))

    def _run(self, rows: Sequence[int], batch: Sequence[Prepared]) -> None:
        """Run one forward pass; if the network cannot take a sample of the batch, run one pass for each, to find it."""
        try:
            for start, read in self.batch_size.run(self._forward, batch):
                for tap, vectors in read.items():
                    for row, vector in zip(rows[start:], vectors, strict=False):
                        self.latents[tap][row] = vector
        except UnfitSample as error:
            if not self.skip_undecodable:
                raise
            if len(batch) == 1:
                self.unfit[rows[0]] = error.reason
                return
            for row, sample in zip(rows, batch, strict=True):
                self._run([row], [sample])

    def _drop_unfit(self, order: Sequence[str]) -> None:
        """Move the samples that the network could not take to ``skipped``, which keeps the order of the data."""
        if not self.unfit:
            return
        self.skipped += [(self.ids[row], reason) for row, reason in self.unfit.items()]
        place = {sample_id: i for i, sample_id in enumerate(order)}
        self.skipped.sort(key=lambda pair: place[pair[0]])
        kept = [row for row in range(len(self.ids)) if row not in self.unfit]
        self.ids = [self.ids[row] for row in kept]
        self.pixels = [self.pixels[row] for row in kept]
        self.latents = {tap: [vectors[row] for row in kept] for tap, vectors in self.latents.items()}

    def _forward(self, batch: Sequence[Prepared]) -> dict[Tap, Vectors]:
        return self.model.features(batch, self.taps)

    def _stack(self, tap: Tap) -> torch.Tensor:
        vectors = self.latents[tap]
        for sample_id, vector in zip(self.ids, vectors, strict=True):
            refuse_other_width((self.ids[0], len(vectors[0])), (sample_id, len(vector)))
        stacked = torch.stack(vectors)
        bad = (~torch.isfinite(stacked)).any(dim=1).nonzero().flatten().tolist()
        if bad:
            named = ", ".join(repr(self.ids[i]) for i in bad[:3])
            raise ForesightError(
                f"layer={tap.layer}: the latents of {len(bad)} samples are not finite ({named}). "
                f"{not_finite_advice(self.model)}"
            )
        return stacked
