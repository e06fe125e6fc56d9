"""The cache entries that analyze and adapt select, and their messages when something is missing."""

import shlex
import shutil
from datetime import date
from pathlib import Path

import pytest

from foresight_cli.models.checkpoint import TINY
from foresight_cli.results import load_results
from tests.conftest import commands_in

VAE = "diffusion_pytorch_model"
SMALL = ("data.per_category=3", "data.size=32")


@pytest.fixture(scope="module")
def extracted(tmp_path_factory):
    """Extract two controls on the same few drawings."""
    folder = tmp_path_factory.mktemp("extracted")
    with commands_in(folder) as run:
        assert run("extract", "model=pixels", "pooling=all", *SMALL).exit_code == 0
        assert run("extract", "model=histogram", *SMALL).exit_code == 0
    return folder / "outputs/cache"


@pytest.fixture
def cached(run, extracted, tmp_path):
    """Return ``run`` in a folder whose cache holds the two controls."""
    shutil.copytree(extracted, tmp_path / "outputs/cache")
    return run


def message_of(run, *args):
    result = run(*args)
    assert result.exit_code == 1, result.output
    return result.output.splitlines()[-1]


def test_an_empty_cache_names_the_commands_that_fill_it(run):
    assert message_of(run, "analyze", "weights=tiny") == (
        "foresight analyze: source=qwen25vl layer=all pooling=all and target=ltxv layer=all pooling=all: no such "
        "latents in the cache. Type: foresight extract model=qwen25vl layer=all pooling=all weights=tiny && "
        "foresight extract model=ltxv layer=all pooling=all weights=tiny"
    )


def test_a_layer_that_is_not_cached(cached):
    assert message_of(cached, "analyze", "source=pixels", "target=histogram", "pooling=flat") == (
        "foresight analyze: target=histogram layer=all pooling=flat: no such latents in the cache. "
        "Type: foresight extract model=histogram layer=final pooling=flat data=shapes data.per_category=3 data.size=32"
    )


def test_the_command_has_all_settings_that_differ(run):
    words = ["data=shapes", "data.per_category=20", "weights=tiny", "cache_dir=my cache"]
    assert (
        "Type: foresight extract model=qwen25vl layer.index=5 pooling=all data=shapes data.per_category=20 "
        "weights=tiny 'cache_dir=my cache' && foresight extract model=ltxv"
    ) in message_of(run, "analyze", "layer.index=5", *words)
    assert "model=qwen25vl 'layer.index=[5,6]' pooling" in message_of(
        run, "analyze", "layer.index=[5,6]", "weights=tiny"
    )
    message = message_of(run, "analyze", "source=vision", "source.model.checkpoint=org/vit", "source.model.tokens=cls")
    assert "model=vision model.checkpoint=org/vit model.tokens=cls layer=all" in message


def test_the_first_setting_that_differs_is_named_with_both_values(cached):
    words = ("analyze", "source=pixels", "source.model.resolution=16", "target=histogram")
    assert message_of(cached, *words) == (
        "foresight analyze: source.model.resolution=16 here, the cache has 8. Give source.model.resolution=8"
    )
    assert message_of(cached, *words, "target.model.bins=3") == (
        "foresight analyze: source.model.resolution=16 here, the cache has 8; target.model.bins=3 here, the cache has "
        "4. Give source.model.resolution=8 target.model.bins=4"
    )
    assert cached("extract", "model=pixels", "model.resolution=12", *SMALL).exit_code == 0
    assert "the cache has 8" in message_of(cached, *words) or "the cache has 12" in message_of(cached, *words)


def test_tiny_weights_of_one_side(run):
    for model in ("qwen25vl", "ltxv"):
        assert run("extract", f"model={model}", "weights=tiny", "data.per_category=1", "data.size=64").exit_code == 0
    assert message_of(run, "analyze", "target.model.checkpoint=tiny:ltxv") == (
        "foresight analyze: source.model.checkpoint=Qwen/Qwen2.5-VL-7B-Instruct here, the cache has tiny:qwen25vl. "
        "Give weights=tiny"
    )


@pytest.fixture
def photos(run, tmp_path):
    """Make a folder of 24 pictures and cache two models on it."""
    from PIL import Image

    (tmp_path / "my photos").mkdir()
    for i in range(24):
        Image.new("RGB", (8, 8), (10 * i, 0, 0)).save(tmp_path / f"my photos/{i}.png")
    for model in ("pixels", "histogram"):
        assert run("extract", f"model={model}", *FOLDER).exit_code == 0
    return tmp_path / "my photos"


FOLDER = ("data=imagefolder", "data.path=my photos")


def test_added_or_changed_pictures_are_reported(run, photos):
    from PIL import Image

    pair = ("source=pixels", "target=histogram")
    both = " && ".join(
        f"foresight extract model={model} layer=final pooling=channel_mean data=imagefolder 'data.path=my photos'"
        for model in ("pixels", "histogram")
    )
    day = date.today().isoformat()
    Image.new("RGB", (8, 8), (0, 9, 0)).save(photos / "0.png")
    message = message_of(run, "analyze", *pair, *FOLDER)
    assert message == (
        f"foresight analyze: the pictures in my photos have changed since they were extracted ({day}). Type: {both}"
    )
    Image.new("RGB", (8, 8), (0, 90, 0)).save(photos / "new.png")
    message = message_of(run, "analyze", *pair, *FOLDER)
    assert message == (
        f"foresight analyze: my photos has 25 pictures, the cache has 24 (extracted {day}). Type: {both}"
    )
    for command in message.partition("Type: ")[2].split(" && "):
        assert run(*shlex.split(command)[1:]).exit_code == 0
    assert run("analyze", *pair, *FOLDER, "permutations=19").exit_code == 0


def test_poolings_cached_on_an_older_state_of_the_data_alone_are_named(run, photos):
    from PIL import Image

    pair = ("source=pixels", "target=histogram")
    assert run("extract", "model=pixels", "pooling=flat", *FOLDER).exit_code == 0
    Image.new("RGB", (8, 8), (0, 90, 0)).save(photos / "new.png")
    for model in ("pixels", "histogram"):
        assert run("extract", f"model={model}", *FOLDER).exit_code == 0
    day = date.today().isoformat()
    again = "foresight extract model=pixels layer=final pooling=flat data=imagefolder 'data.path=my photos'"
    left_out = (
        f"source=pixels layer=final pooling=flat: left out, cached on 24 pictures of my photos as of {day}; this run "
        f"uses the 25 of a later state. To extract them on it: {again}"
    )
    assert message_of(run, "adapt", *pair, "adapter=linear") == (
        "foresight adapt: both models are cached on 2 datasets (data=imagefolder of 24 files; data=imagefolder of 25 "
        "files). Add data=imagefolder 'data.path=my photos' for its files as they are now"
    )
    done = run("analyze", *pair, *FOLDER, "permutations=19", "controls=[]")
    assert done.exit_code == 0
    assert f"warning: {left_out}\n" in done.output
    (results,) = Path("outputs/analyze").rglob("results.yaml")
    assert left_out in load_results(results).warnings
    done = run("analyze", *pair, *FOLDER, "permutations=19", "controls=[]", "source.pooling=channel_mean")
    assert done.exit_code == 0
    assert "warning: source=" not in done.output  # all that is asked for is cached on the new state
    assert run(*shlex.split(again)[1:]).exit_code == 0


def test_a_changed_checkpoint_is_reported(run, tmp_path):
    from foresight_cli.models.checkpoint import TINY

    shutil.copytree(TINY / "ltxv", tmp_path / "copy")
    words = ("model=ltxv", "model.checkpoint=copy", "model.resolution=64", "data.per_category=1", "data.size=64")
    assert run("extract", *words).exit_code == 0
    config = tmp_path / "copy/vae/config.json"
    config.write_text(config.read_text() + " ")
    space = [f"target.{word}" for word in words[1:3]]
    message = message_of(run, "analyze", "source=pixels", *space, "data=shapes", *words[3:])
    assert message.startswith(
        f"foresight analyze: source=pixels layer=all pooling=all: no such latents in the cache; target=ltxv: copy has "
        f"changed since it was extracted ({date.today().isoformat()}). Type: foresight extract model=pixels layer=all "
    )
    assert "model=ltxv model.checkpoint=copy model.resolution=64 layer=all pooling=all data=shapes" in message
    assert "sha256" not in message


def test_two_datasets_are_not_guessed_between(cached):
    for model in ("pixels", "histogram"):
        assert cached("extract", f"model={model}", *SMALL, "data.seed=1").exit_code == 0
    message = message_of(cached, "analyze", "source=pixels", "target=histogram")
    assert message == (
        "foresight analyze: both models are cached on 2 datasets (data=shapes data.per_category=3 data.seed=0 "
        "data.size=32 data.variant=default; data=shapes data.per_category=3 data.seed=1 data.size=32 "
        "data.variant=default). Add data=shapes data.per_category=3 data.size=32 or data=shapes data.per_category=3 "
        "data.seed=1 data.size=32"
    )
    named = ("data=shapes", *SMALL, "data.seed=1", "pooling=channel_mean", "permutations=19")
    result = cached("analyze", "source=pixels", "target=histogram", *named)
    assert result.exit_code == 0, result.output
    assert "24 samples in 24 groups" in result.output


def test_different_data_on_the_two_sides(run):
    assert run("extract", "model=pixels", *SMALL).exit_code == 0
    assert run("extract", "model=histogram", *SMALL, "data.seed=1").exit_code == 0
    assert message_of(run, "analyze", "source=pixels", "target=histogram") == (
        "foresight analyze: source=pixels is cached on data=shapes data.per_category=3 data.size=32, target=histogram "
        "on data=shapes data.per_category=3 data.seed=1 data.size=32. Type: foresight extract model=histogram "
        "layer=all pooling=all data=shapes data.per_category=3 data.size=32"
    )


def test_an_incomplete_entry_does_not_count(cached, tmp_path):
    for manifest in (tmp_path / "outputs/cache/pixels").rglob("manifest.json"):
        manifest.unlink()
    assert "no such latents in the cache" in message_of(cached, "analyze", "source=pixels", "target=histogram")


def test_an_unreadable_entry_is_skipped(cached, tmp_path):
    (entry,) = (tmp_path / "outputs/cache/histogram/layer-final/channel_mean").iterdir()
    twin = entry.with_name("0123456789abcdef")
    shutil.copytree(entry, twin)
    (twin / "recipe.json").write_text('{"format": 99}')
    result = cached("analyze", "source=pixels", "target=histogram")
    assert "warning: skipped:" in result.output
    assert "24" in result.output  # it uses the other entries


def test_adapt_takes_one_layer_and_pooling(cached):
    result = cached("adapt", "source=pixels", "target=histogram", "pooling=all")
    assert result.exit_code == 2
    assert result.output.splitlines()[-1] == (
        "foresight adapt: adapt takes one layer and one pooling of the target: target.layer=final "
        "target.pooling=flat. To try several, add -m and separate them with commas: target.pooling=channel_mean,flat"
    )


@pytest.mark.parametrize("stage", ["analyze", "adapt"])
def test_an_empty_cache_is_reported_before_anything_is_hashed(run, tmp_path, monkeypatch, stage):
    """Pictures and weights may be gigabytes, so neither is hashed. A mistyped folder is reported first."""
    from PIL import Image

    from foresight_cli.data.imagefolder import ImageFolder
    from foresight_cli.models.checkpoint import TINY, Checkpoint

    (tmp_path / "p").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "p/a.png")
    for hashed in (ImageFolder, Checkpoint):
        monkeypatch.setattr(hashed, "identity", lambda *_, **__: pytest.fail("it was hashed"))
    words = ("layer=final", "data=imagefolder", "data.path=p")
    message = message_of(run, stage, f"source.model.checkpoint={TINY / 'qwen25vl'}", *words)
    assert message.startswith(f"foresight {stage}: source=qwen25vl layer=final pooling=")
    assert ": no such latents in the cache. Type: foresight extract model=qwen25vl" in message
    assert "nowhere" in message_of(run, stage, "source.model.checkpoint=./nowhere", *words)


def test_a_variant_of_the_weights_is_not_taken_for_the_plain_ones(run, tmp_path, monkeypatch):
    """For a hub id only the variant tells them apart: its files are not part of the key."""
    hub = tmp_path / "hub" / "models--org--vae"
    folder = shutil.copytree(TINY / "ltxv" / "vae", hub / "snapshots" / ("c" * 40) / "vae")
    shutil.copy(folder / f"{VAE}.safetensors", folder / f"{VAE}.fp16.safetensors")
    (hub / "refs").mkdir()
    (hub / "refs" / "main").write_text("c" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    words = ("model.checkpoint=org/vae", "model.resolution=64", "model.variant=fp16")
    assert run("extract", "model=pixels", *SMALL).exit_code == 0
    assert run("extract", "model=ltxv", *words, *SMALL).exit_code == 0
    target = [f"target.{word}" for word in words[:2]]
    assert message_of(run, "analyze", "source=pixels", "target=ltxv", *target) == (
        "foresight analyze: target.model.variant=null here, the cache has fp16. Give target.model.variant=fp16"
    )
