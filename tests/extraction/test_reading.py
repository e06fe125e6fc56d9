"""Reading ahead: in order, within the memory limit, and without deadlock."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from foresight_cli.data import UndecodableImage
from foresight_cli.data.clip import Clip
from foresight_cli.extraction import reading
from foresight_cli.extraction.reading import Reader
from foresight_cli.models import Prepared


class Numbered:
    """A dataset of pictures whose colour is their row; every fifth cannot be read."""

    samples = tuple(SimpleNamespace(id=str(row)) for row in range(40))

    def __init__(self) -> None:
        self.asked: list[int] = []

    def clip(self, row: int) -> Clip:
        self.asked.append(row)
        time.sleep(0.003 if row % 3 else 0)  # so that later samples are done first
        if row % 5 == 4:
            raise UndecodableImage(str(row), "broken")
        return Clip((Image.new("RGB", (2, 2), (row,) * 3),))


class Network:
    """A network whose prepared pictures have a given number of bytes."""

    def __init__(self, size: int = 1) -> None:
        self.size = size

    def prepare(self, clip: Clip, sample_id: str) -> Prepared:
        return Prepared(sample_id, {"x": torch.zeros(self.size, dtype=torch.uint8)}, ())


def in_turn(rows: range) -> Callable[[bool], int | None]:
    left = deque(rows)
    return lambda wait: left.popleft() if left else None


def test_samples_come_in_order_whatever_is_ready_first(monkeypatch):
    monkeypatch.setattr(reading, "usable_cores", lambda: 8)
    data = Numbered()
    with Reader(data, Network()) as reader:
        got = list(reader.read(in_turn(range(40))))
    assert [ready.error.sample_id if ready.error else ready.prepared.sample_id for ready in got] == [
        str(row) for row in range(40)
    ]
    assert [i for i, ready in enumerate(got) if ready.error] == [4, 9, 14, 19, 24, 29, 34, 39]
    assert all(
        ready.pixels.numpy().tobytes() == Clip((Image.new("RGB", (2, 2), (i,) * 3),)).digest()
        for i, ready in enumerate(got)
        if ready.prepared
    )


def test_no_further_ahead_than_memory_allows(monkeypatch):
    monkeypatch.setattr(reading, "AHEAD_BYTES", 5000)
    data = Numbered()
    with Reader(data, Network(size=1000)) as reader:
        furthest = [len(data.asked) - taken for taken, _ in enumerate(reader.read(in_turn(range(40))))]
        at_first = 2 * reader._threads  # samples begun before the first size is known
    assert max(furthest) <= max(5, at_first) + 1
    assert max(furthest[at_first:]) <= 5 + 1


def test_large_samples_after_small_ones(monkeypatch):
    """Few samples are begun while all are small, so the limit is exceeded only a little."""
    monkeypatch.setattr(reading, "AHEAD_BYTES", 20_000)
    network = Network()
    network.prepare = lambda clip, name: Prepared(name, {"x": torch.zeros(4000 if int(name) > 19 else 1)}, ())
    data, held = Numbered(), []
    with Reader(data, network) as reader:
        for taken, _ in enumerate(reader.read(in_turn(range(40)))):
            held.append(sum(row > 19 for row in data.asked[taken + 1 :]))
        threads = reader._threads
    assert max(held) <= max(20_000 // 16_000, 2 * threads)


def test_nothing_now_is_not_the_end():
    """A worker without a next shard must return the samples that it has read before it waits for one."""
    taken: list[int] = []
    rows = deque([0, 1, 2, None, 5, 6, None])
    waited_at: list[int] = []

    def next_row(wait: bool) -> int | None:
        if rows and rows[0] is None:
            if not wait:
                return None
            waited_at.append(len(taken))
            rows.popleft()
        return rows.popleft() if rows else None

    with Reader(Numbered(), Network()) as reader:
        for ready in reader.read(next_row):
            taken.append(int(ready.prepared.sample_id))
    assert taken == [0, 1, 2, 5, 6]
    assert waited_at == [3, 5]


def test_an_unforeseen_error_reaches_the_reader_and_leaves_no_thread():
    class Broken(Numbered):
        def clip(self, row):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), Reader(Broken(), Network()) as reader:
        list(reader.read(in_turn(range(40))))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read")]
