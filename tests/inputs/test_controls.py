"""Tests of the controls: their values, their caching, and the entries of the source with random weights."""

from __future__ import annotations

import json
import shlex
import shutil

import numpy as np
import pytest
import torch

from foresight_cli.catalog.find import find
from foresight_cli.config import RandomNetworkConfig, SpaceConfig
from foresight_cli.config.controls import CONTROL_MODELS
from foresight_cli.data.shapes import Shapes
from foresight_cli.errors import ForesightError, UsageError
from foresight_cli.inputs.controls import control_latents, random_init_of
from foresight_cli.latents import Entry, load
from foresight_cli.models.checkpoint import TINY, Checkpoint
from foresight_cli.models.random_network import RandomNetwork
from foresight_cli.suggest.missing_evidence import random_init_command
from tests.builders import SHAPES, one_commit
from tests.made_entries import made

SMALL = ("data.per_category=1", "data.size=32")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
RANDOM = "model.init=random"


@pytest.fixture
def _hub(monkeypatch):
    """Make every checkpoint of the hub have the same revision."""
    one_commit(monkeypatch, COMMIT)


@pytest.fixture
def weights(tmp_path):
    """Return a folder with a checkpoint of the user."""
    shutil.copytree(TINY / "qwen25vl", tmp_path / "weights")
    return tmp_path / "weights"


# --- controls of the pictures


def test_each_control_holds_what_its_name_says(tmp_path):
    shapes = Shapes(per_category=2, size=32)
    pictures = np.stack([np.asarray(shapes.image(i)) for i in range(16)]).astype(float)
    got = control_latents(list(CONTROL_MODELS), SHAPES, str(tmp_path))
    assert list(got) == ["pixels", "histogram", "mean_rgb", "random_network"]
    assert {name: held.values.shape[1] for name, held in got.items()} == {
        "pixels": 3 * 8 * 8,
        "histogram": 4**3,
        "mean_rgb": 3,
        "random_network": 256 * 4 * 4,
    }
    for held in got.values():
        assert held.ids == [sample.id for sample in shapes.samples]
        assert held.values.dtype == torch.float32
    cells = pictures.reshape(16, 8, 4, 8, 4, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2) / 255
    levels = (pictures // 64).astype(int) @ [16, 4, 1]
    counts = np.stack([np.bincount(picture.ravel(), minlength=64) / 1024 for picture in levels])
    assert got["pixels"].values.numpy() == pytest.approx(cells.reshape(16, -1), abs=1 / 255)  # PIL rounds twice
    assert got["mean_rgb"].values.numpy() == pytest.approx(pictures.mean(axis=(1, 2)) / 255, abs=1 / 255)
    assert got["histogram"].values.numpy() == pytest.approx(counts, abs=1e-6)
    network = RandomNetwork(RandomNetworkConfig("random_network", resolution=64, seed=0))
    assert Entry.open(*tmp_path.glob("random_network/*/*/*")).recipe.model == network.recipe("final")


def test_what_is_asked_for_is_computed_once(tmp_path, monkeypatch):
    first = control_latents(["random_network"], SHAPES, str(tmp_path))
    assert not (tmp_path / "pixels").exists()
    monkeypatch.setattr(RandomNetwork, "load", lambda *_: pytest.fail("the network was built again"))
    again = control_latents(["random_network"], SHAPES, str(tmp_path))
    assert torch.equal(first["random_network"].values, again["random_network"].values)


def test_an_unknown_control_is_refused_before_any_is_extracted(tmp_path):
    with pytest.raises(UsageError) as caught:
        control_latents(["pixels", "clip"], SHAPES, str(tmp_path))
    assert str(caught.value) == "controls=clip: choose one of pixels, histogram, mean_rgb, random_network"
    assert not list(tmp_path.iterdir())


def test_a_cache_that_cannot_be_written_leaves_them_out(tmp_path, caplog):
    (tmp_path / "file").touch()
    assert control_latents(["pixels", "mean_rgb"], SHAPES, f"{tmp_path}/file") == {}
    keys = {}
    for name, side in (("pixels", 8), ("mean_rgb", 1)):
        words = ("model=pixels", f"model.resolution={side}", "pooling=flat", "data.per_category=2", "data.size=32")
        keys[made(tmp_path, *words).path.name] = name
    assert caplog.messages == [
        f"warning: the control {name} is not measured: cannot write {tmp_path}/file/pixels/layer-final/flat/{key}: Not "
        "a directory. Make room or pick another place with cache_dir=DIR; what is already written is kept, and the "
        "same command resumes from there"
        for key, name in keys.items()
    ]


# --- the source with random weights


def test_the_command_makes_the_copy_that_is_found(run, tmp_path):
    """With the real network: the copy differs from the source, and is made by the command's settings."""
    words = ("model=ltxv", "weights=tiny", "model.resolution=32", "pooling=flat", *SMALL)
    assert run("extract", *words).exit_code == 0
    (folder,) = tmp_path.glob("outputs/cache/ltxv/*/*/*")
    entry = Entry.open(folder)
    assert random_init_of(entry, "outputs/cache") is None
    command = random_init_command(entry, "outputs/cache")
    assert command == (
        "foresight extract model=ltxv weights=tiny model.dtype=float32 model.resolution=32 layer=final pooling=flat "
        "data=shapes data.per_category=1 data.size=32 model.init=random"
    )
    assert run(*shlex.split(command)[1:]).exit_code == 0
    untrained, trained = random_init_of(entry, "outputs/cache"), load(entry)
    assert untrained is not None
    assert untrained.ids == trained.ids
    assert untrained.values.shape == trained.values.shape
    assert not torch.allclose(untrained.values, trained.values)


@pytest.mark.usefixtures("_hub")
@pytest.mark.parametrize("source", [("weights=tiny",), (), ("weights=tiny", "model.prompt='What, is this?'")])
def test_only_the_weights_may_differ(tmp_path, source):
    words = ("model=qwen25vl", "layer=4", *SMALL, *source)
    entry = made(tmp_path, *words)
    for other in ("layer=8", "pooling=flat", "data.seed=1", "model.prompt=Name.", "model.tokens=all"):
        made(tmp_path, *words, RANDOM, other)
    made(tmp_path, *words, RANDOM, "model.init_seed=1", sealed=False)  # a run that was killed
    assert random_init_of(entry, str(tmp_path)) is None
    made(tmp_path, *words, RANDOM, "model.init_seed=10", value=10)
    assert random_init_of(entry, str(tmp_path)).values.unique().tolist() == [10]
    made(tmp_path, *words, RANDOM, "model.init_seed=9", "rows_per_shard=3", value=9)
    assert random_init_of(entry, str(tmp_path)).values.unique().tolist() == [9]


@pytest.mark.usefixtures("_hub")
def test_another_revision_of_a_hub_checkpoint_is_another_network(tmp_path, monkeypatch):
    words = ("model=qwen25vl", "layer=4", *SMALL)
    entry = made(tmp_path, *words)
    monkeypatch.setattr(Checkpoint, "_hub_commit", "f" * 40)
    made(tmp_path, *words, RANDOM)
    assert random_init_of(entry, str(tmp_path)) is None
    command = random_init_command(entry, str(tmp_path)) or ""
    assert f"model.revision={COMMIT}" in shlex.split(command)


def test_the_copy_of_a_hub_id_is_found_if_its_prompt_is_in_the_key(tmp_path, monkeypatch):
    files = shutil.copytree(TINY / "qwen25vl", tmp_path / "files")
    (files / "chat_template.json").write_text(json.dumps({"chat_template": "<|image_pad|>"}))
    tokenizer = json.loads((files / "tokenizer.json").read_text())
    tokenizer["post_processor"] = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "a"}}]}
    (files / "tokenizer.json").write_text(json.dumps(tokenizer))
    words = ("model=qwen25vl", "layer=4", *SMALL)
    one_commit(monkeypatch, COMMIT)
    made(tmp_path / "cache", *words, RANDOM, value=3)  # with the prompt of an earlier version
    one_commit(monkeypatch, COMMIT, files)
    entry = made(tmp_path / "cache", *words)
    assert {"chat_template", "special_tokens"} <= entry.recipe.model.keys()
    assert random_init_of(entry, f"{tmp_path}/cache") is None
    made(tmp_path / "cache", *words, RANDOM, value=5)
    assert random_init_of(entry, f"{tmp_path}/cache").values.unique().tolist() == [5]


def test_a_source_of_a_former_prompt_is_reported_if_its_copy_has_the_new_one(tmp_path, monkeypatch, caplog):
    files = shutil.copytree(TINY / "qwen25vl", tmp_path / "files")
    (files / "chat_template.json").write_text(json.dumps({"chat_template": "<|image_pad|>"}))
    words = ("model=qwen25vl", "layer=4", *SMALL)
    one_commit(monkeypatch, COMMIT)
    entry = made(tmp_path / "cache", *words)
    one_commit(monkeypatch, COMMIT, files)
    copy = made(tmp_path / "cache", *words, RANDOM)
    assert random_init_of(entry, f"{tmp_path}/cache") is None
    assert caplog.messages == [
        f"warning: the control random_init is not measured: an earlier version made {entry.path} with another prompt "
        f"than {copy.path}: extract it again"
    ]


@pytest.mark.usefixtures("_hub")
def test_the_copy_is_never_taken_for_the_source(tmp_path):
    """``analyze source=qwen25vl`` finds only the trained checkpoint, also for a hub id that both share."""
    from hydra import compose, initialize_config_dir

    from foresight_cli.config.reader import analyze_config
    from foresight_cli.config.tree import conf_dir

    words = ("model=qwen25vl", "layer=4", *SMALL)
    copy = made(tmp_path, *words, RANDOM)
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        space = analyze_config(compose("analyze")).source
    both = SpaceConfig(space.model, ("4",), None)
    with pytest.raises(ForesightError) as caught:
        find(str(tmp_path), both, both, None)
    assert str(caught.value) == (
        "source=qwen25vl layer=4 pooling=all and target=qwen25vl layer=4 pooling=all: no such latents in the cache. "
        f"Type: foresight extract model=qwen25vl layer=4 pooling=all cache_dir={tmp_path}"
    )
    entry = made(tmp_path, *words)
    assert [source.path for source in find(str(tmp_path), both, both, None).source] == [entry.path]
    assert copy.path != entry.path


def test_folders_of_weights_are_told_apart_by_their_files(tmp_path, weights):
    words = ("model=qwen25vl", f"model.checkpoint={weights}", "model.dtype=float32", "layer=4", *SMALL)
    wider = tmp_path / "wider"
    shutil.copytree(weights, wider)
    config = json.loads((wider / "config.json").read_text())
    (wider / "config.json").write_text(json.dumps({**config, "more": 1}))
    entry = made(tmp_path, *words)
    made(tmp_path, *words, f"model.checkpoint={wider}", RANDOM)
    assert random_init_of(entry, str(tmp_path)) is None
    made(tmp_path, *words, RANDOM, value=5)
    assert random_init_of(entry, str(tmp_path)).values.unique().tolist() == [5]


def test_weights_that_are_gone_or_changed_are_reported(tmp_path, weights, caplog):
    words = ("model=qwen25vl", f"model.checkpoint={weights}", "model.dtype=float32", "layer=4", *SMALL)
    entry = made(tmp_path / "cache", *words)
    made(tmp_path / "cache", *words, RANDOM)
    (weights / "tokenizer.json").write_text("{}")
    assert random_init_of(entry, f"{tmp_path}/cache") is None
    weights.rename(tmp_path / "moved")
    assert random_init_of(entry, f"{tmp_path}/cache") is None
    assert caplog.messages == [
        f"warning: the control random_init is not measured: {weights} has changed since {entry.path} was made. "
        "Extract it again",
        f"warning: the control random_init is not measured: no folder {weights}. model.checkpoint= wants a "
        "folder written by save_pretrained or a hub id; or leave it out and add weights=tiny",
    ]


@pytest.mark.parametrize(
    "edit", [lambda kept: kept["provenance"]["model"].pop("prompt"), lambda kept: kept["provenance"].pop("model")]
)
def test_settings_of_another_version_are_reported(tmp_path, caplog, edit):
    words = ("model=qwen25vl", "weights=tiny", "layer=4", *SMALL)
    entry = made(tmp_path, *words)
    made(tmp_path, *words, RANDOM)
    manifest = json.loads((entry.path / "manifest.json").read_bytes())
    edit(manifest)
    (entry.path / "manifest.json").write_text(json.dumps(manifest))
    assert random_init_of(entry, str(tmp_path)) is None
    assert caplog.messages == [
        f"warning: the control random_init is not measured: {entry.path} was made with settings that this foresight "
        "does not have. Extract it again"
    ]


@pytest.mark.parametrize(
    "words", [("model=pixels",), ("model=random_network",), ("model=qwen25vl", "weights=tiny", RANDOM)]
)
def test_without_trained_weights_there_is_no_such_control(tmp_path, words):
    entry = made(tmp_path, *words, *SMALL)
    assert random_init_of(entry, str(tmp_path)) is None
    assert random_init_command(entry, str(tmp_path)) is None
