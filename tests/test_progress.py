"""What an extraction says of its progress where there is no terminal."""

from __future__ import annotations

import re

from foresight_cli.progress import ShardProgress


def test_a_line_for_each_shard_with_what_was_there_before(caplog):
    with caplog.at_level("INFO"), ShardProgress("pixels", 20, {1: 8, 2: 4}) as progress:
        progress.on_samples(8)
        progress.on_shard(1)
        progress.on_samples(4)
        progress.on_shard(2)
    assert caplog.messages[0] == "pixels: shard 1 committed, 16 of 20 samples"  # reading the model is no speed
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
