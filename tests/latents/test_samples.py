"""The table of samples beside the shards."""

from __future__ import annotations

import pytest

from foresight_cli.data import Sample
from foresight_cli.errors import ForesightError
from foresight_cli.latents.samples import NAME, SampleTable, read_samples, write_samples

SAMPLES = (
    Sample("a", "circle", "g1", {"x": 0.25, "y": 1.0}),
    Sample("b/ü", None, "g1", {"x": 0.1}),
    Sample("c", "square", "g2"),
)


def test_round_trip(tmp_path):
    write_samples(tmp_path, SAMPLES)
    assert read_samples(tmp_path) == SampleTable(
        ids=["a", "b/ü", "c"],
        labels=["circle", None, "square"],
        groups=["g1", "g1", "g2"],
        attributes={"x": [0.25, 0.1, None], "y": [1.0, None, None]},
    )


def test_unchanged_table_is_not_written_again(tmp_path):
    write_samples(tmp_path, SAMPLES)
    before = (tmp_path / NAME).stat()
    write_samples(tmp_path, SAMPLES)
    after = (tmp_path / NAME).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_corrected_label_is_written(tmp_path):
    write_samples(tmp_path, SAMPLES)
    write_samples(tmp_path, [Sample("a", "ring", "g1"), *SAMPLES[1:]])
    assert read_samples(tmp_path).labels == ["ring", None, "square"]


def test_missing_table(tmp_path):
    with pytest.raises(ForesightError) as caught:
        read_samples(tmp_path)
    assert str(caught.value) == f"{tmp_path}/samples.json is missing: run the same extract again"


def test_any_flipped_bit_is_found(tmp_path):
    write_samples(tmp_path, SAMPLES)
    path = tmp_path / NAME
    data = path.read_bytes()
    whole, messages = read_samples(tmp_path), set()
    for bit in range(0, len(data) * 8, 7):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            assert read_samples(tmp_path) == whole  # only white space, or another spelling of the same letter
        except ForesightError as error:
            messages.add(str(error))
    assert messages == {f"{path} does not match its hash. Delete it and run the same extract again"}
