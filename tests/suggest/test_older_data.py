"""The line about layers and poolings that are cached on an older state of the data alone."""

from __future__ import annotations

import os
import shlex
from datetime import date
from types import SimpleNamespace

import pytest
from PIL import Image

from foresight_cli.config import ImageFolderConfig, SpaceConfig
from foresight_cli.suggest.cache_miss import Miss
from foresight_cli.suggest.older_data import _as_of, older_data
from tests.builders import qwen_model
from tests.made_entries import made

DAY = 86400


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "photos/0.png")
    return tmp_path / "photos"


def test_only_the_pairs_that_are_left_out_are_named(photos):
    words = ("model=qwen25vl", "weights=tiny", "data=imagefolder", "data.path=photos")
    older = [("4", "flat"), ("8", "channel_mean"), ("10", "channel_mean"), ("final", "flat"), ("final", "channel_mean")]
    cached = [made("cache", *words, f"layer.index={layer}", f"pooling={pooling}") for layer, pooling in older]
    for days, entry in enumerate(cached):
        os.utime(entry.path / "manifest.json", (DAY * (9000 - days),) * 2)
    Image.new("RGB", (32, 32), "tan").save(photos / "1.png")
    used = made("cache", *words, "layer=4")
    space = SpaceConfig(qwen_model("tiny:qwen25vl", resolution=252), None, None)
    side = Miss("source", space, [], [*cached, used])
    data = ImageFolderConfig(name="imagefolder", path="photos", on_error="raise")
    (line,) = older_data(side, [used], data, "outputs/cache")
    about, _, commands = line.partition(" To extract them on it: ")
    assert about == (
        "source=qwen25vl layer=4 pooling=flat, layer=8,10 pooling=channel_mean, layer=final pooling=channel_mean,flat: "
        f"left out, cached on 1 pictures of photos as of {date.fromtimestamp(DAY * 9000)}; this run uses the 2 of a "
        "later state."
    )
    chosen = [
        [word for word in shlex.split(command) if word.startswith(("layer", "pooling"))]
        for command in commands.split(" && ")
    ]
    assert chosen == [
        ["layer=4", "pooling=flat"],
        ["layer.index=[8,10]", "pooling=channel_mean"],
        ["layer=final", "pooling=all"],
    ]


def test_an_unknown_day_is_not_the_last(tmp_path):
    (tmp_path / "manifest.json").touch()
    os.utime(tmp_path / "manifest.json", (DAY * 9000,) * 2)
    dated, undated = SimpleNamespace(path=tmp_path), SimpleNamespace(path=tmp_path / "none")
    assert _as_of([undated, dated, undated]) == f" as of {date.fromtimestamp(DAY * 9000)}"
    assert _as_of([undated]) == ""
