"""Computation of shards: work done at the same time, limits on memory, and settings that must not change a number."""

from __future__ import annotations

import dataclasses
import threading
from collections import deque
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from foresight_cli.config import ImageFolderConfig, LocalConfig
from foresight_cli.data.clip import Clip
from foresight_cli.extraction import filling
from foresight_cli.extraction.batching import BatchSize
from foresight_cli.extraction.filling import fill
from foresight_cli.extraction.run import extract
from foresight_cli.latents import Entry, Recipe, load
from foresight_cli.models import Prepared, Tap
from tests.builders import only, qwen

PATIENCE = 20
"""Seconds within which concurrent work must be seen; else the test fails."""
TAP = Tap("final", "flat")


class Rows:
    """A dataset whose samples are their row numbers."""

    def __init__(self, count: int) -> None:
        self.samples = [SimpleNamespace(id=str(row)) for row in range(count)]
        self.read: list[int] = []
        self.on_read = lambda row: None

    def clip(self, row: int) -> Clip:
        self.read.append(row)
        self.on_read(row)
        return Clip((), name=str(row))


class Doubling:
    """A network that doubles a number."""

    pads = False

    def __init__(self) -> None:
        self.on_batch = lambda ids: None

    def prepare(self, clip: Clip, sample_id: str) -> Prepared:
        return Prepared(sample_id, {"x": torch.tensor([float(sample_id)])}, ())

    def features(self, batch: Sequence[Prepared], taps: Sequence[Tap]) -> dict[Tap, Any]:
        self.on_batch([int(p.sample_id) for p in batch])
        return {tap: 2 * torch.stack([p.tensors["x"] for p in batch]) for tap in taps}


def filled(tmp_path, data: Rows, model: Doubling, size: int = 4, rows_per_shard: int = 8) -> Entry:
    count = len(data.samples)
    recipe = Recipe({"name": "m"}, "final", "flat", {"name": "rows"}, rows=count, rows_per_shard=rows_per_shard)
    entry = Entry.create(tmp_path, recipe)
    left = deque(entry.missing())
    fill(
        {TAP: entry},
        lambda wait: left.popleft() if left else None,
        data,
        model,
        batch_size=BatchSize(size, "cpu"),
        skip_undecodable=False,
    )
    return entry


def values(entry: Entry) -> list[float]:
    return torch.cat([shard.latents for shard in entry.shards()]).flatten().tolist()


# --- at the same time


def test_samples_are_read_while_the_network_runs(tmp_path):
    """The first batch of the network waits until a sample of the next one is being read."""
    data, model = Rows(16), Doubling()
    beyond = threading.Event()
    data.on_read = lambda row: beyond.set() if row >= 4 else None
    model.on_batch = lambda ids: ids[0] == 0 and (beyond.wait(PATIENCE) or pytest.fail("nothing is read ahead"))
    assert values(filled(tmp_path, data, model)) == [2.0 * row for row in range(16)]


def test_samples_of_the_next_shard_are_read_before_this_one_is_done(tmp_path):
    data, model = Rows(16), Doubling()
    beyond = threading.Event()
    data.on_read = lambda row: beyond.set() if row >= 8 else None
    model.on_batch = lambda ids: ids[0] == 4 and (beyond.wait(PATIENCE) or pytest.fail("the shard is waited for"))
    filled(tmp_path, data, model)


def test_a_shard_is_written_while_the_network_runs_on_the_next(tmp_path, monkeypatch):
    """Each waits until the other has begun."""
    data, model = Rows(16), Doubling()
    writing, computing = threading.Event(), threading.Event()
    plain = Entry.put

    def put(self, number, shard):
        writing.set()
        if number == 0:
            assert computing.wait(PATIENCE), "the network waits for the disk"
        return plain(self, number, shard)

    def on_batch(ids):
        if ids[0] == 8:
            computing.set()
            assert writing.wait(PATIENCE), "the disk waits for the network"

    monkeypatch.setattr(Entry, "put", put)
    model.on_batch = on_batch
    assert values(filled(tmp_path, data, model)) == [2.0 * row for row in range(16)]


def test_at_most_one_shard_waits_to_be_written(tmp_path, monkeypatch):
    data, model = Rows(64), Doubling()
    committed: list[int] = []
    plain = Entry.put
    monkeypatch.setattr(
        Entry, "put", lambda self, number, shard: (plain(self, number, shard), committed.append(number))
    )
    ahead = []
    model.on_batch = lambda ids: ahead.append(ids[0] // 8 - len(committed))
    filled(tmp_path, data, model)
    assert max(ahead) <= 2  # one being computed, one being written, and one handed over between them


def test_shards_computed_before_an_error_are_written(tmp_path):
    data, model = Rows(24), Doubling()

    def on_batch(ids):
        if ids[0] == 16:
            raise ZeroDivisionError

    model.on_batch = on_batch
    with pytest.raises(ZeroDivisionError):
        filled(tmp_path, data, model)
    (folder,) = tmp_path.glob("m/layer-final/flat/*")
    assert Entry.open(folder).missing() == [2]


def test_a_large_shard_is_no_larger_in_memory(tmp_path, monkeypatch):
    """At most 8 batches of inputs are buffered, however many rows the shard has."""
    data, model = Rows(400), Doubling()
    taken: list[int] = []
    model.on_batch = lambda ids: taken.append(len(data.read) - ids[0])
    filled(tmp_path, data, model, size=4, rows_per_shard=400)
    assert max(taken) <= filling.WAITING_BATCHES * 4 + 128 + 1


# --- settings that must not change a number


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Pictures of mixed sizes."""
    folder = tmp_path_factory.mktemp("photos")
    sizes = [(112, 84), (60, 140), (112, 84), (200, 90), (112, 84), (84, 112), (56, 56), (224, 56), (90, 200), (56, 56)]
    for i, (width, height) in enumerate(sizes):
        noise = np.random.default_rng(i).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{i}.png")
    return ImageFolderConfig(name="imagefolder", path=str(folder), on_error="raise")


@pytest.fixture(scope="module")
def alone(photos, qwen_checkpoint, tmp_path_factory):
    """Return the latents of each picture, computed alone."""
    config = qwen(
        tmp_path_factory.mktemp("alone"), qwen_checkpoint, data=photos, resolution=None, tokens="all", batch_size=1
    )
    return load(only(extract(config)))


@pytest.mark.parametrize("batch_size", [1, 3, 8, None])
@pytest.mark.parametrize(("workers", "rows_per_shard"), [(1, 256), (1, 4), (3, 2)])
def test_batches_shards_and_workers_change_no_number(
    tmp_path, qwen_checkpoint, photos, alone, batch_size, workers, rows_per_shard
):
    config = qwen(
        tmp_path,
        qwen_checkpoint,
        data=photos,
        resolution=None,
        tokens="all",
        batch_size=batch_size,
        rows_per_shard=rows_per_shard,
        runner=LocalConfig("local", workers=workers),
    )
    got = load(only(extract(config)))
    assert got.ids == alone.ids
    assert torch.equal(got.pixels, alone.pixels)
    torch.testing.assert_close(got.values, alone.values, rtol=1e-5, atol=1e-5)


def test_order_changes_no_number(tmp_path, qwen_checkpoint, photos, alone):
    backwards = tmp_path / "backwards"
    backwards.mkdir()
    for i in range(10):
        (backwards / f"{9 - i}.png").symlink_to(f"{photos.path}/{i}.png")
    data = dataclasses.replace(photos, path=str(backwards))
    config = qwen(tmp_path / "cache", qwen_checkpoint, data=data, resolution=None, tokens="all", batch_size=4)
    got = load(only(extract(config)))
    assert torch.equal(got.pixels, alone.pixels.flip(0))
    torch.testing.assert_close(got.values, alone.values.flip(0), rtol=1e-5, atol=1e-5)
