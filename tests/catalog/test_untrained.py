"""Tests of the source with random weights: which entry is found, and what is reported."""

from __future__ import annotations

import json
import shlex
import shutil

import pytest
import torch

from foresight_cli.catalog.find import find
from foresight_cli.catalog.untrained import untrained_latents
from foresight_cli.config import SpaceConfig
from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry, load
from foresight_cli.models.checkpoint import TINY, Checkpoint
from foresight_cli.suggest.missing_evidence import random_init_command
from tests.builders import one_commit
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


def test_the_command_makes_the_copy_that_is_found(run, tmp_path):
    """With the real network: the copy differs from the source, and is made by the command's settings."""
    words = ("model=ltxv", "weights=tiny", "model.resolution=32", "pooling=flat", *SMALL)
    assert run("extract", *words).exit_code == 0
    (folder,) = tmp_path.glob("outputs/cache/ltxv/*/*/*")
    entry = Entry.open(folder)
    assert untrained_latents(entry, "outputs/cache") is None
    command = random_init_command(entry, "outputs/cache")
    assert command == (
        "foresight extract model=ltxv weights=tiny model.dtype=float32 model.resolution=32 layer=final pooling=flat "
        "data=shapes data.per_category=1 data.size=32 model.init=random"
    )
    assert run(*shlex.split(command)[1:]).exit_code == 0
    untrained, trained = untrained_latents(entry, "outputs/cache"), load(entry)
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
    assert untrained_latents(entry, str(tmp_path)) is None
    made(tmp_path, *words, RANDOM, "model.init_seed=10", value=10)
    assert untrained_latents(entry, str(tmp_path)).values.unique().tolist() == [10]
    made(tmp_path, *words, RANDOM, "model.init_seed=9", "rows_per_shard=3", value=9)
    assert untrained_latents(entry, str(tmp_path)).values.unique().tolist() == [9]


@pytest.mark.usefixtures("_hub")
def test_another_revision_of_a_hub_checkpoint_is_another_network(tmp_path, monkeypatch):
    words = ("model=qwen25vl", "layer=4", *SMALL)
    entry = made(tmp_path, *words)
    monkeypatch.setattr(Checkpoint, "_hub_commit", "f" * 40)
    made(tmp_path, *words, RANDOM)
    assert untrained_latents(entry, str(tmp_path)) is None
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
    assert untrained_latents(entry, f"{tmp_path}/cache") is None
    made(tmp_path / "cache", *words, RANDOM, value=5)
    assert untrained_latents(entry, f"{tmp_path}/cache").values.unique().tolist() == [5]


def test_a_source_of_a_former_prompt_is_reported_if_its_copy_has_the_new_one(tmp_path, monkeypatch, caplog):
    files = shutil.copytree(TINY / "qwen25vl", tmp_path / "files")
    (files / "chat_template.json").write_text(json.dumps({"chat_template": "<|image_pad|>"}))
    words = ("model=qwen25vl", "layer=4", *SMALL)
    one_commit(monkeypatch, COMMIT)
    entry = made(tmp_path / "cache", *words)
    one_commit(monkeypatch, COMMIT, files)
    copy = made(tmp_path / "cache", *words, RANDOM)
    assert untrained_latents(entry, f"{tmp_path}/cache") is None
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
    assert untrained_latents(entry, str(tmp_path)) is None
    made(tmp_path, *words, RANDOM, value=5)
    assert untrained_latents(entry, str(tmp_path)).values.unique().tolist() == [5]


def test_weights_that_are_gone_or_changed_are_reported(tmp_path, weights, caplog):
    words = ("model=qwen25vl", f"model.checkpoint={weights}", "model.dtype=float32", "layer=4", *SMALL)
    entry = made(tmp_path / "cache", *words)
    made(tmp_path / "cache", *words, RANDOM)
    (weights / "tokenizer.json").write_text("{}")
    assert untrained_latents(entry, f"{tmp_path}/cache") is None
    weights.rename(tmp_path / "moved")
    assert untrained_latents(entry, f"{tmp_path}/cache") is None
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
    assert untrained_latents(entry, str(tmp_path)) is None
    assert caplog.messages == [
        f"warning: the control random_init is not measured: {entry.path} was made with settings that this version "
        "of foresight does not know. Extract it again"
    ]


@pytest.mark.parametrize(
    "words", [("model=pixels",), ("model=random_network",), ("model=qwen25vl", "weights=tiny", RANDOM)]
)
def test_without_trained_weights_there_is_no_such_control(tmp_path, words):
    entry = made(tmp_path, *words, *SMALL)
    assert untrained_latents(entry, str(tmp_path)) is None
    assert random_init_command(entry, str(tmp_path)) is None
