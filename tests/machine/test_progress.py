"""The progress of an extraction without a terminal."""

from __future__ import annotations

import re

from foresight_cli.machine.progress import ShardProgress, WorkerSpeeds


def test_a_line_for_each_shard_counts_earlier_shards(caplog):
    with caplog.at_level("INFO"), ShardProgress("pixels", 20, {1: 8, 2: 4}) as progress:
        progress.on_samples(8)
        progress.on_shard(1)
        progress.on_samples(4)
        progress.on_shard(2)
    assert (
        caplog.messages[0] == "pixels: shard 1 committed, 16 of 20 samples"
    )  # the time to load the model does not count
    assert re.fullmatch(r"pixels: shard 2 committed, 20 of 20 samples, \d+\.\d samples/s", caplog.messages[1])
    assert len(caplog.messages) == 2


def test_a_long_shard_is_not_silent(caplog):
    with caplog.at_level("INFO"), ShardProgress("ltxv", 1000, {0: 1000}, quiet=0) as progress:
        for _ in range(3):
            progress.on_samples(16)
    assert caplog.messages[0] == "ltxv: 16 of 1000 samples computed"
    assert re.fullmatch(r"ltxv: 48 of 1000 samples computed, \d+\.\d samples/s", caplog.messages[2])


def test_a_short_one_is(caplog):
    with caplog.at_level("INFO"), ShardProgress("ltxv", 1000, {0: 1000}) as progress:
        progress.on_samples(16)
    assert caplog.messages == []


def test_the_slowest_and_the_silent_worker_are_named(caplog, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("foresight_cli.machine.progress.time.monotonic", lambda: clock[0])
    speeds = WorkerSpeeds("Ray")
    at_work = {"fast": range(1, 181), "slow": range(1, 181), "lost": range(1, 51), "late": range(55, 181)}
    with caplog.at_level("INFO"):
        for second in range(1, 181):
            clock[0] = second
            for worker, seconds in at_work.items():
                if second in seconds:
                    speeds.on_samples(worker, 2 if worker == "slow" else 8)
            speeds.say()
    assert caplog.messages == [
        "Ray: 4 workers at 2.0 to 8.1 samples/s, the slowest slow",
        "Ray: 3 workers at 2.0 to 8.0 samples/s, the slowest slow",
        "Ray: nothing from worker lost for 60 s",
        "Ray: 3 workers at 2.0 to 8.0 samples/s, the slowest slow",
    ]


def test_one_worker_alone_is_not_compared(caplog):
    speeds = WorkerSpeeds("Ray", quiet=0)
    with caplog.at_level("INFO"):
        speeds.on_samples("only", 8)
        speeds.say()
    assert caplog.messages == []
