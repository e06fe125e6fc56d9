"""Random access to the rows of an entry on the disk."""

import os

import pytest
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.latents import RowReader, load
from tests.training.stored import entry_of


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_rows_are_those_that_load_gives_in_the_order_asked(tmp_path, dtype):
    entry = entry_of(tmp_path, torch.randn(100, 5).to(dtype), rows_per_shard=16)
    reader, whole = RowReader(entry), load(entry)
    assert (reader.shape, len(reader), reader.dtype) == ((100, 5), 100, dtype)
    for rows in (torch.randperm(100), torch.tensor([99, 3, 3, 17, 16, 15]), torch.arange(100), torch.arange(0)):
        assert torch.equal(reader[rows], whole.values[rows])
    assert reader.latents.ids == whole.ids
    assert torch.equal(reader.latents.pixels, whole.pixels)


def test_more_files_than_are_kept_open(tmp_path, monkeypatch):
    monkeypatch.setattr("foresight_cli.latents.reading.rows.OPEN_FILES", 2)
    values = torch.randn(64, 3)
    reader = RowReader(entry_of(tmp_path, values, rows_per_shard=4))
    assert torch.equal(reader[torch.arange(64).flip(0)], values.flip(0))
    assert len(reader._open) == 2


def test_a_file_cut_short_while_it_is_read(tmp_path):
    reader = RowReader(entry_of(tmp_path, torch.randn(20, 3), rows_per_shard=20))
    (file,) = tmp_path.rglob("shard-*")
    os.truncate(file, 200)
    with pytest.raises(ForesightError) as caught:
        reader[torch.arange(20)]
    assert str(caught.value) == f"{file} became shorter while it was being read: run the same extract again"


def test_a_damaged_shard_is_refused_as_load_refuses_it(tmp_path):
    messages = []
    for name, read in (("a", RowReader), ("b", load)):
        entry = entry_of(tmp_path / name, torch.randn(20, 3, generator=torch.Generator().manual_seed(0)))
        (file,) = (tmp_path / name).rglob("shard-*")
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
        with pytest.raises(ForesightError) as caught:
            read(entry)
        messages.append(str(caught.value).removeprefix(str(tmp_path / name)))
    assert messages[0] == messages[1]
    assert "does not match its hash" in messages[0]
