"""Only what changes a number changes the key: settings, weights and pictures are changed at random."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from foresight_cli.config import ExtractConfig, ImageFolderConfig, LocalConfig
from foresight_cli.data import open_dataset
from foresight_cli.errors import ForesightError
from foresight_cli.extraction.plan import planned
from foresight_cli.models import open_model
from tests.builders import SHAPES, pixels, qwen

OFTEN = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def keys(config: ExtractConfig) -> list[str]:
    recipes = planned(config, open_dataset(config.data), open_model(config.model))
    return [recipe.key for recipe in recipes.values()]


# --- settings

HOW_IT_RUNS = {
    "batch_size": st.one_of(st.none(), st.integers(1, 512)),
    "device": st.sampled_from(["cpu", "cuda", "cuda:1", "auto"]),
    "weights": st.sampled_from(["hub", "tiny"]),
    "cache_dir": st.text("abc/", min_size=1),
    "runner": st.builds(LocalConfig, name=st.just("local"), workers=st.integers(1, 64)),
    "dry_run": st.booleans(),
}
NUMBERS = {
    "dtype": st.sampled_from(["float32", "bfloat16", "float16"]),
    "init": st.sampled_from(["pretrained", "random"]),
    "resolution": st.sampled_from([None, 56, 84, 112]),
    "tokens": st.sampled_from(["image", "text", "last", "all"]),
    "prompt": st.sampled_from(["Describe.", "Describe. ", "describe.", "", "What is this?", "描述"]),
    "layers": st.sampled_from([("0",), ("4",), ("8",), ("final",)]),
    "poolings": st.sampled_from([("channel_mean",), ("flat",)]),
    "rows_per_shard": st.integers(1, 64),
    "data": st.builds(
        lambda seed, per_category, size: dataclasses.replace(SHAPES, seed=seed, per_category=per_category, size=size),
        st.integers(0, 3),
        st.integers(1, 3),
        st.sampled_from([32, 64]),
    ),
}


@OFTEN
@given(how=st.fixed_dictionaries({}, optional=HOW_IT_RUNS))
def test_how_it_runs_changes_no_key(qwen_checkpoint, how):
    assert keys(qwen(Path("cache"), qwen_checkpoint, **how)) == keys(qwen(Path("cache"), qwen_checkpoint))


@OFTEN
@given(first=st.fixed_dictionaries(NUMBERS), second=st.fixed_dictionaries(NUMBERS))
def test_settings_that_change_numbers_change_the_key(qwen_checkpoint, first, second):
    same = keys(qwen(Path("cache"), qwen_checkpoint, **first)) == keys(qwen(Path("cache"), qwen_checkpoint, **second))
    assert same == (first == second)


def test_settings_without_a_say_do_not_enter(qwen_checkpoint):
    """The seed of random weights if the weights are not random; the final norm of a layer below it."""
    base = qwen(Path("cache"), qwen_checkpoint)
    assert keys(qwen(Path("cache"), qwen_checkpoint, init_seed=5)) == keys(base)
    assert keys(qwen(Path("cache"), qwen_checkpoint, final_norm=False)) == keys(base)
    random = [keys(qwen(Path("cache"), qwen_checkpoint, init="random", init_seed=seed)) for seed in (0, 1)]
    assert random[0] != random[1]


# --- checkpoints


@pytest.fixture(scope="module")
def copy(qwen_checkpoint, tmp_path_factory) -> Path:
    return Path(shutil.copytree(qwen_checkpoint, tmp_path_factory.mktemp("copy") / "qwen"))


@OFTEN
@given(data=st.data())
def test_one_flipped_bit_of_a_file_that_is_read_changes_the_key(copy, data):
    base, fixed = keys(qwen(Path("cache"), copy)), keys(qwen(Path("cache"), copy, init="random"))
    file = data.draw(st.sampled_from(sorted(path for path in copy.iterdir() if path.name != "config.json")))
    whole, state = file.read_bytes(), file.stat()
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    flipped = bytearray(whole)
    flipped[bit // 8] ^= 1 << bit % 8
    try:
        file.write_bytes(flipped)
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))  # like tools that keep times when they copy
        read = file.name != "generation_config.json"
        assert changed(qwen(Path("cache"), copy), base) == read
        assert changed(qwen(Path("cache"), copy, init="random"), fixed) == (read and file.suffix != ".safetensors")
    finally:
        file.write_bytes(whole)
    assert keys(qwen(Path("cache"), copy)) == base


def changed(config, before) -> bool:
    """Check that the key changes, or the files are refused: a changed bit in a header may make a file invalid."""
    try:
        return keys(config) != before
    except ForesightError:
        return True


def test_files_that_are_not_read_change_nothing(copy):
    base = keys(qwen(Path("cache"), copy))
    for name in ("README.md", "generation_config.json", "pytorch_model.bin", ".cache"):
        (copy / name).write_text("{}")
    assert keys(qwen(Path("cache"), copy)) == base


# --- pictures


def folder(root: Path) -> ImageFolderConfig:
    for i, name in enumerate(["a.png", "b.png", "cat/c.png", "cat/d.png"]):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).save(root / name)
    return ImageFolderConfig(name="imagefolder", path=str(root), on_error="raise")


def flip(root: Path) -> None:
    whole = bytearray((root / "b.png").read_bytes())
    whole[60] ^= 1
    (root / "b.png").write_bytes(whole)


def swap(root: Path) -> None:
    (root / "a.png").rename(root / "x.png")
    (root / "b.png").rename(root / "a.png")
    (root / "x.png").rename(root / "b.png")


MISSES = {
    "a byte of a picture": flip,
    "two pictures change names": swap,
    "a picture less": lambda root: (root / "a.png").unlink(),
    "a picture more": lambda root: shutil.copy(root / "a.png", root / "e.png"),
    "another name, and so another order": lambda root: (root / "a.png").rename(root / "z.png"),
    "another folder": lambda root: (root / "cat").rename(root / "dog"),
}
HITS = {
    "nothing": lambda root: None,
    "the time of a file": lambda root: os.utime(root / "a.png", (1, 1)),
    "labels and attributes": lambda root: (root / "attributes.csv").write_text("id,label,x\na.png,bird,1.5\n"),
    "a file that is no picture": lambda root: (root / "notes.txt").write_text("hello"),
    "the rights to a file": lambda root: (root / "a.png").chmod(0o600),
}


@pytest.mark.parametrize("change", [*MISSES, *HITS])
def test_changes_in_a_folder_of_pictures(tmp_path, change):
    data = folder(tmp_path / "p")
    before = keys(pixels(tmp_path, data=data))
    ({**MISSES, **HITS})[change](tmp_path / "p")
    assert (keys(pixels(tmp_path, data=data)) == before) == (change in HITS)


def test_a_folder_that_was_moved_is_the_same_data(tmp_path):
    data = folder(tmp_path / "p")
    before = keys(pixels(tmp_path, data=data))
    moved = dataclasses.replace(data, path=str(shutil.move(tmp_path / "p", tmp_path / "q")))
    assert keys(pixels(tmp_path, data=moved)) == before
