"""Latents of an earlier version's prompt are left out where newer ones of the same checkpoint are cached."""

from __future__ import annotations

import dataclasses
import json
import shlex
import shutil

import pytest

from foresight_cli.catalog.find import _one_of_each, find
from foresight_cli.config import SpaceConfig
from foresight_cli.config.tree import as_override, cache_line
from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry
from foresight_cli.models.checkpoint import TINY
from tests.builders import one_commit, qwen_model
from tests.made_entries import made

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40
ADD = f"Add source.model.revision={COMMIT} or source.model.revision={OTHER}"
WORDS = ("model=qwen25vl", "model.checkpoint=org/qwen", "model.resolution=56", "model.prompt=Describe.")
SMALL = ("model.dtype=float32", "data.per_category=1", "data.size=32")


@pytest.fixture
def new_prompt(tmp_path):
    """Return the files of a checkpoint whose recipe has ``chat_template``."""
    files = shutil.copytree(TINY / "qwen25vl", tmp_path / "hub")
    (files / "chat_template.json").write_text(json.dumps({"chat_template": "<|image_pad|>"}))
    return files


def space(*layers: str) -> SpaceConfig:
    return SpaceConfig(qwen_model("org/qwen"), layers or None, None)


def test_the_entry_of_the_new_prompt_is_preferred(run, tmp_path, monkeypatch, new_prompt):
    cache = tmp_path / "cache"
    one_commit(monkeypatch, COMMIT)
    old = [made(cache, *WORDS, *SMALL, f"layer={layer}") for layer in ("4", "8")]
    made(cache, *WORDS, *SMALL, "layer=4", "data.seed=1")
    both = space()
    one_commit(monkeypatch, COMMIT, new_prompt)
    new = made(cache, *WORDS, *SMALL, "layer=4")
    assert sorted(new.recipe.model.keys() - old[0].recipe.model.keys()) == ["chat_template"]
    entries = find(str(cache), both, space("4"), None)
    assert [[entry.path for entry in side] for side in (entries.source, entries.target)] == [[new.path]] * 2

    def line(*deleted: Entry) -> str:
        keys = as_override("keys", [entry.path.name for entry in deleted])  # digits alone are quoted
        return cache_line(f"gc --yes {keys}", str(cache))

    assert entries.older == (
        "source=qwen25vl layer=4 pooling=channel_mean, layer=8 pooling=channel_mean: left out, an earlier version made "
        f"them with another prompt. To delete them: {line(*old)}",
        "target=qwen25vl layer=4 pooling=channel_mean: left out, an earlier version made them with another prompt. To "
        f"delete them: {line(old[0])}",
    )
    typed = shlex.split(entries.older[0].partition("To delete them: ")[2])
    assert run(*typed[1:]).exit_code == 0
    assert [entry.path.exists() for entry in (*old, new)] == [False, False, True]
    assert find(str(cache), both, both, None).older == ()


def test_layers_of_the_old_prompt_alone_are_not_mixed_with_the_new(tmp_path, monkeypatch, new_prompt):
    one_commit(monkeypatch, COMMIT)
    made(tmp_path / "cache", *WORDS, *SMALL, "layer=8")
    one_commit(monkeypatch, COMMIT, new_prompt)
    made(tmp_path / "cache", *WORDS, *SMALL, "layer=4")
    with pytest.raises(ForesightError) as caught:
        find(str(tmp_path / "cache"), space("8"), space("4"), None)
    assert str(caught.value).startswith("source=qwen25vl layer=8 pooling=all: no such latents in the cache. Type: ")


def test_the_old_prompt_alone_is_used(tmp_path, monkeypatch):
    one_commit(monkeypatch, COMMIT)
    old = made(tmp_path, *WORDS, *SMALL, "layer=4")
    entries = find(str(tmp_path), space("4"), space("4"), None)
    assert ([entry.path for entry in entries.source], entries.older) == ([old.path], ())


@pytest.mark.parametrize(
    ("change", "way"),
    [
        ({"revision": OTHER}, "revision: {}. " + ADD),
        ({"revision": OTHER, "chat_template": "b"}, "chat_template, revision: {}. " + ADD),
        ({"chat_template": "b"}, "chat_template: {}. To delete one of them: foresight cache gc --yes "),
    ],
)
def test_how_to_choose_between_two(tmp_path, monkeypatch, new_prompt, change, way):
    one_commit(monkeypatch, COMMIT, new_prompt)
    first = made(tmp_path, *WORDS, *SMALL, "layer=4")
    recipe = dataclasses.replace(first.recipe, model={**first.recipe.model, **change})
    other = Entry(tmp_path / "other", recipe)
    with pytest.raises(ForesightError) as caught:
        _one_of_each([first, other], "source", "outputs/cache")
    paths = f"{first.path} and {other.path}"
    assert str(caught.value).startswith(f"the cache holds qwen25vl with two values of {way.format(paths)}")
