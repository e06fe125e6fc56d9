"""A subset of a dataset has its pictures and order, and another identity."""

from __future__ import annotations

import numpy as np
import pytest

from foresight_cli.cache import _verified
from foresight_cli.catalog.find import find
from foresight_cli.config import SpaceConfig
from foresight_cli.config.controls import CONTROL_MODELS
from foresight_cli.data import open_dataset
from foresight_cli.data.subset import Subset
from foresight_cli.errors import ForesightError
from foresight_cli.inputs.controls import control_latents
from foresight_cli.latents import entries
from tests.builders import SHAPES


def test_the_samples_asked_for_in_the_order_of_the_whole():
    whole = open_dataset(SHAPES)
    ids = [sample.id for sample in whole.samples]
    some = Subset(whole, {ids[5], ids[2], "gone"})
    assert [sample.id for sample in some.samples] == [ids[2], ids[5]]
    for place, row in enumerate((2, 5)):
        assert np.array_equal(some.clip(place).frames[0], whole.clip(row).frames[0])


def test_its_identity_is_of_the_whole_and_the_ids():
    whole = open_dataset(SHAPES)
    ids = [sample.id for sample in whole.samples]
    first, same, third = (Subset(whole, chosen).identity() for chosen in ([ids[2], ids[5]], [ids[5], ids[2]], [ids[2]]))
    assert first == same
    assert first != third
    assert {key: value for key, value in first.items() if key != "only"} == whole.identity()


def test_controls_of_a_few_samples_read_no_more_pictures(tmp_path, monkeypatch):
    whole = open_dataset(SHAPES)
    ids = [sample.id for sample in whole.samples]
    all_of_it = control_latents(["pixels"], SHAPES, str(tmp_path / "whole"))["pixels"]
    read = []
    drawn = type(whole).clip
    monkeypatch.setattr(type(whole), "clip", lambda self, row: (read.append(row), drawn(self, row))[1])
    some = control_latents(["pixels"], SHAPES, str(tmp_path / "some"), Subset(whole, [ids[9], ids[3]]))["pixels"]
    assert sorted(read) == [3, 9]
    assert some.ids == [ids[3], ids[9]]
    assert np.array_equal(some.values, all_of_it.values[[3, 9]])
    assert [entry.recipe.rows for entry in entries(tmp_path / "some")] == [2]
    read.clear()
    again = control_latents(["pixels"], SHAPES, str(tmp_path / "whole"), Subset(whole, [ids[9], ids[3]]))["pixels"]
    assert read == []  # all of them are in the cache
    assert again.ids == [ids[3], ids[9]]
    assert np.array_equal(again.values, some.values)


def test_no_question_is_about_them(tmp_path):
    whole = open_dataset(SHAPES)
    control_latents(["pixels", "histogram"], SHAPES, str(tmp_path), Subset(whole, [whole.samples[0].id]))
    spaces = (SpaceConfig(CONTROL_MODELS[name], None, None) for name in ("pixels", "histogram"))
    with pytest.raises(ForesightError, match=r"source=pixels .*: no such latents in the cache"):
        find(str(tmp_path), *spaces, None)


def test_a_damaged_one_is_made_by_analyze(tmp_path):
    whole = open_dataset(SHAPES)
    control_latents(["pixels"], SHAPES, str(tmp_path), Subset(whole, [whole.samples[0].id]))
    (entry,) = entries(tmp_path)
    (file,) = entry.shard_files().values()
    file.write_bytes(b"damaged")
    message, good = _verified(entry.path, tmp_path)
    assert not good
    assert message.endswith(". Run the same analyze to recreate it")
