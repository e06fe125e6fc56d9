"""Hits and misses in the cache: only what changes a number changes the key."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from foresight_cli.config import HistogramConfig, PixelsConfig
from foresight_cli.extraction.run import extract
from foresight_cli.latents import load
from foresight_cli.models.pixels import Pixels
from tests.builders import SHAPES, only, pixels, qwen, visible

# --- hits and misses


def test_cached_latents_are_those_of_the_model(tmp_path):
    latents = load(only(extract(pixels(tmp_path))))
    assert latents.ids[:3] == ["circle-0000", "circle-0001", "square-0000"]
    assert latents.labels[:3] == ["circle", "circle", "square"]
    from foresight_cli.data.shapes import Shapes

    shapes = Shapes(per_category=2, size=32)
    for row in range(16):
        small = np.asarray(shapes.image(row).resize((4, 4), Image.Resampling.BOX), dtype=np.float64)
        assert latents.values[row].numpy() == pytest.approx(small.mean(axis=(0, 1)) / 255, abs=1e-6)
        assert latents.attributes["hue"][row] == shapes.samples[row].attributes["hue"]


def test_a_hit_loads_no_model(tmp_path, monkeypatch):
    first = extract(pixels(tmp_path))
    before = visible(tmp_path)
    monkeypatch.setattr(Pixels, "load", lambda *_: pytest.fail("the model was loaded"))
    assert extract(pixels(tmp_path)) == first
    assert visible(tmp_path) == before


def test_a_hit_imports_no_torch(run, tmp_path, qwen_checkpoint):
    words = ("extract", "weights=tiny", f"model.checkpoint={qwen_checkpoint}", "model.resolution=56", "layer=4",
             "data.per_category=1", "data.size=32")  # fmt: skip
    assert run(*words).exit_code == 0
    code = (
        "import sys\n"
        "from foresight_cli.cli import app\n"
        "try:\n"
        "    app(prog_name='foresight')\n"
        "except SystemExit as end:\n"
        "    print(end.code, sorted({'torch', 'transformers', 'diffusers', 'sklearn'} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[1] == "qwen25vl: 1 of 1 layers x poolings already in the cache"
    assert result.stdout.splitlines()[-1] == "0 []"


@pytest.mark.parametrize("change", [{"batch_size": 3}, {"device": "auto"}, {"weights": "tiny"}])
def test_settings_of_the_run_are_not_part_of_the_key(tmp_path, monkeypatch, change):
    entry = only(extract(pixels(tmp_path)))
    monkeypatch.setattr(Pixels, "load", lambda *_: pytest.fail("the model was loaded"))
    assert only(extract(pixels(tmp_path, **change))) == entry


@pytest.mark.parametrize(
    "change",
    [
        {"model": PixelsConfig(name="pixels", resolution=8)},
        {"model": HistogramConfig(name="histogram", bins=4)},
        {"poolings": ("flat",)},
        {"data": dataclasses.replace(SHAPES, seed=1)},
        {"data": dataclasses.replace(SHAPES, per_category=3)},
        {"data": dataclasses.replace(SHAPES, size=48)},
        {"rows_per_shard": 16},
    ],
)
def test_a_setting_that_changes_the_numbers_is_a_miss(tmp_path, change):
    assert only(extract(pixels(tmp_path))).path != only(extract(pixels(tmp_path, **change))).path


def test_a_setting_that_changes_qwens_numbers_is_a_miss(tmp_path, qwen_checkpoint):
    base = {"data": dataclasses.replace(SHAPES, per_category=1)}
    changes = (
        {},
        {"prompt": "What."},
        {"resolution": 84},
        {"tokens": "all"},
        {"layers": ("8",)},
        {"dtype": "bfloat16"},
    )
    entries = [only(extract(qwen(tmp_path, qwen_checkpoint, **base, **change))) for change in changes]
    assert len({entry.path for entry in entries}) == len(changes)
    assert {load(entry).values.dtype for entry in entries} == {torch.float32}  # channel_mean is float32 in any dtype


def test_a_moved_checkpoint_is_a_hit_and_a_changed_one_a_miss(tmp_path, qwen_checkpoint, monkeypatch):
    import shutil

    from foresight_cli.models.qwen25vl import Qwen25VL

    data = dataclasses.replace(SHAPES, per_category=1)
    entry = only(extract(qwen(tmp_path / "cache", qwen_checkpoint, data=data)))
    copy = shutil.copytree(qwen_checkpoint, tmp_path / "copy")
    with monkeypatch.context() as patched:
        patched.setattr(Qwen25VL, "load", lambda *_: pytest.fail("the model was loaded"))
        assert only(extract(qwen(tmp_path / "cache", copy, data=data))) == entry
    weights = copy / "model.safetensors"
    data_of_weights = bytearray(weights.read_bytes())
    data_of_weights[-1] ^= 1
    weights.write_bytes(data_of_weights)
    assert only(extract(qwen(tmp_path / "cache", copy, data=data))) != entry
