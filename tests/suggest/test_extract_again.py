"""Tests of the command that recreates an entry: typed as printed, it leads to that entry's key."""

from __future__ import annotations

import dataclasses
import json
import shlex
import shutil

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from foresight_cli.cli.overrides import for_hydra
from foresight_cli.config.reader import extract_config
from foresight_cli.config.tree import as_override, conf_dir
from foresight_cli.data import open_dataset
from foresight_cli.extraction.plan import planned
from foresight_cli.latents import Entry, Recipe
from foresight_cli.models import open_model
from foresight_cli.models.checkpoint import TINY
from foresight_cli.suggest.extract_again import extract_command
from foresight_cli.suggest.words import shown_path
from tests.builders import one_commit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SMALL = ("data.per_category=1", "data.size=32")


def recipes(words) -> list[Recipe]:
    """Return the recipes that ``foresight extract`` makes from ``words``, on a hub with one revision."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = extract_config(compose("extract", for_hydra("extract", list(words))))
    return list(planned(config, open_dataset(config.data), open_model(config.model)).values())


def provenance(words) -> dict:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = extract_config(compose("extract", for_hydra("extract", list(words))))
    return {"model": dataclasses.asdict(config.model), "data": dataclasses.asdict(config.data), "versions": {}}


@pytest.fixture(autouse=True)
def _hub(monkeypatch):
    """Replace the hub by one where every checkpoint is at one revision."""
    one_commit(monkeypatch, COMMIT)


CASES = {
    "model=pixels layer=final pooling=channel_mean data=shapes": ("model=pixels",),
    "model=pixels layer=final pooling=flat data=shapes data.per_category=1 data.size=32 rows_per_shard=4": (
        *("model=pixels", "pooling=flat", "rows_per_shard=4"),
        *SMALL,
    ),
    "model=pixels model.resolution=4 layer=final pooling=channel_mean data=shapes data.variant=q1 data.seed=3": (
        *("model=pixels", "model.resolution=4", "data.variant=q1", "data.seed=3"),
    ),
    "model=histogram model.bins=3 layer=final pooling=flat data=shapes": (
        *("model=histogram", "model.bins=3", "pooling=flat"),
    ),
    "model=qwen25vl weights=tiny layer=4 pooling=channel_mean data=shapes": (
        *("model=qwen25vl", "weights=tiny", "layer=4"),
    ),
    """model=qwen25vl weights=tiny "model.prompt='What, is this?'" layer.index=12 pooling=flat data=shapes""": (
        *("model=qwen25vl", "weights=tiny", "layer.index=12", "pooling=flat", "model.prompt='What, is this?'"),
    ),
    "model=qwen25vl weights=tiny model.init=random model.init_seed=2 model.final_norm=false layer=final "
    "pooling=channel_mean data=shapes": (
        *("model=qwen25vl", "weights=tiny", "model.init=random", "model.init_seed=2", "model.final_norm=false"),
    ),
    "model=ltxv weights=tiny model.sample=true model.seed=7 model.normalize=true layer=final pooling=flat "
    "data=shapes": (
        *("model=ltxv", "weights=tiny", "model.sample=true", "model.seed=7", "model.normalize=true", "pooling=flat"),
    ),
    f"""model=qwen25vl model.revision={COMMIT} layer=4 pooling=channel_mean data=shapes""": ("layer=4",),
}


@pytest.mark.parametrize("line", CASES)
def test_it_leads_back_to_the_entry(tmp_path, line):
    (recipe,) = recipes(CASES[line])
    entry = Entry.create(tmp_path, recipe)
    commands = [extract_command(entry, "outputs/cache")]  # from the recipe alone
    text = json.dumps({"key": recipe.key, "provenance": provenance(CASES[line])})
    for name in (".corrupt-manifest.json", "manifest.json"):
        (entry.path / name).write_text(text)
        commands.append(extract_command(entry, "outputs/cache"))
    assert {tuple(shlex.split(command or "")) for command in commands} == {("foresight", "extract", *shlex.split(line))}
    assert [other.key for other in recipes(shlex.split(line))] == [recipe.key]


def test_a_prompt_in_the_key_comes_back_from_the_files_of_the_hub_id(tmp_path, monkeypatch):
    files = shutil.copytree(TINY / "qwen25vl", tmp_path / "files")
    (files / "chat_template.json").write_text(json.dumps({"chat_template": "<|image_pad|>"}))
    one_commit(monkeypatch, COMMIT, files)
    (recipe,) = recipes(("layer=4",))
    assert "chat_template" in recipe.model
    command = extract_command(Entry.create(tmp_path, recipe), "outputs/cache") or ""
    assert [other.key for other in recipes(shlex.split(command)[2:])] == [recipe.key]


def test_another_cache_folder_is_named(tmp_path):
    (recipe,) = recipes(("model=pixels", *SMALL))
    command = extract_command(Entry(tmp_path, recipe), "/data/the cache")
    assert command == (
        "foresight extract model=pixels layer=final pooling=channel_mean data=shapes data.per_category=1 data.size=32 "
        "'cache_dir=/data/the cache'"
    )


def test_the_path_of_pictures_comes_from_the_manifest(run, tmp_path):
    from PIL import Image

    (tmp_path / "my pictures").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "my pictures/a.png")
    words = ("model=pixels", "data=imagefolder", "data.path=my pictures", "data.on_error=skip")
    assert run("extract", *words).exit_code == 0
    (folder,) = tmp_path.glob("outputs/cache/*/*/*/*")
    entry = Entry.open(folder)
    command = extract_command(entry, "outputs/cache")
    assert shlex.split(command or "") == [
        *("foresight", "extract", "model=pixels", "layer=final", "pooling=channel_mean", "data=imagefolder"),
        *("data.path=my pictures", "data.on_error=skip"),
    ]
    result = run(*shlex.split(command or "")[1:])
    assert result.stdout.splitlines()[1] == "pixels: 1 of 1 layers x poolings already in the cache"
    (folder / "manifest.json").unlink()
    assert extract_command(entry, "outputs/cache") is None  # no recipe has the path of the pictures


def test_a_folder_of_weights_is_known_from_the_manifest_alone(tmp_path):
    folder = TINY / "qwen25vl"
    words = (f"model.checkpoint={folder}", "model.resolution=56", "model.dtype=float32", "layer=4", *SMALL)
    (recipe,) = recipes(words)
    entry = Entry.create(tmp_path, recipe)
    assert extract_command(entry, "outputs/cache") is None
    text = json.dumps({"key": recipe.key, "provenance": provenance(words)})
    (entry.path / "manifest.json").write_text(text)
    command = extract_command(entry, "outputs/cache") or ""
    assert f"model.checkpoint={shown_path(str(folder))}" in shlex.split(command)
    assert [other.key for other in recipes(shlex.split(command)[2:])] == [recipe.key]


def test_a_manifest_of_another_entry_is_not_believed(tmp_path):
    recipe, other = (recipes(("model=pixels", f"data.seed={seed}", *SMALL))[0] for seed in (0, 1))
    entry = Entry.create(tmp_path, recipe)
    text = json.dumps({"key": other.key, "provenance": provenance(("model=pixels", "data.seed=1", *SMALL))})
    (entry.path / "manifest.json").write_text(text)
    command = extract_command(entry, "outputs/cache") or ""
    assert [again.key for again in recipes(shlex.split(command)[2:])] == [recipe.key]


@pytest.mark.parametrize("edit", [{"resize": "other"}, {"name": "unknown"}, {"resolution": "x"}])
def test_a_recipe_that_the_settings_do_not_lead_to(tmp_path, edit):
    (recipe,) = recipes(("model=pixels", *SMALL))
    changed = dataclasses.replace(recipe, model={**recipe.model, **edit})
    assert extract_command(Entry(tmp_path, changed), "outputs/cache") is None


TEXT = st.one_of(
    st.text(alphabet="ab'\\ ${}[],.\"~/-1:@#%é\n\t=", max_size=8),
    st.lists(st.sampled_from(["\\", "${", "'", "a", "$", "}", "\n"]), max_size=6).map("".join),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.sampled_from(["null", "true", "False", "nan", "inf", "1e3", "12", "-1", "", " a ", "~/x", "a:b", "C:\\x\\"]),
)


@settings(deadline=None, max_examples=400)
@given(value=st.one_of(TEXT, st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
def test_any_value_reads_back_as_it_was(value):
    override = OverridesParser.create().parse_override(as_override("key", value))
    read = OmegaConf.create({"key": override.value()})
    if value != "???":  # OmegaConf's mark of a value that is missing
        assert read.key == value
        assert type(read.key) is type(value)
