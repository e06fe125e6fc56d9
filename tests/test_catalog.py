"""What analyze and adapt find in the cache, and what they say where they do not."""

import shutil

import pytest

SMALL = ("data.per_category=3", "data.size=32")


@pytest.fixture
def cached(run):
    """The cache of a user who has extracted two controls on the same few drawings."""
    assert run("extract", "model=pixels", "pooling=all", *SMALL).exit_code == 0
    assert run("extract", "model=histogram", *SMALL).exit_code == 0
    return run


def says(run, *args):
    result = run(*args)
    assert result.exit_code == 1, result.output
    return result.output.splitlines()[-1]


def test_an_empty_cache_names_the_command_that_fills_it(run):
    assert says(run, "analyze", "weights=tiny") == (
        "foresight analyze: source=qwen25vl layer=all pooling=all: no such latents in the cache. "
        "Type: foresight extract model=qwen25vl layer=all pooling=all weights=tiny"
    )


def test_a_layer_that_is_not_cached(cached):
    assert says(cached, "analyze", "source=pixels", "target=histogram", "pooling=flat") == (
        "foresight analyze: target=histogram layer=all pooling=flat: no such latents in the cache. "
        "Type: foresight extract model=histogram layer=all pooling=flat"
    )


def test_the_command_says_all_that_differs(run):
    words = ["data=shapes", "data.per_category=20", "weights=tiny", "cache_dir=my cache"]
    assert says(run, "analyze", "layer.index=5", *words).endswith(
        "Type: foresight extract model=qwen25vl layer.index=5 pooling=all weights=tiny data.per_category=20 "
        "'cache_dir=my cache'"
    )
    assert "model=qwen25vl 'layer.index=[5,6]' pooling" in says(run, "analyze", "layer.index=[5,6]", "weights=tiny")


def test_other_settings_are_named(cached):
    assert says(cached, "analyze", "source=pixels", "source.model.resolution=16", "target=histogram") == (
        "foresight analyze: source=pixels: no cached latents with these settings. The cache has some with "
        "resolution=8. Give source.model.<setting>= as you gave model.<setting>= to extract"
    )


def test_two_datasets_are_not_guessed_between(cached):
    for model in ("pixels", "histogram"):
        assert cached("extract", f"model={model}", *SMALL, "data.seed=1").exit_code == 0
    said = says(cached, "analyze", "source=pixels", "target=histogram")
    assert said == (
        "foresight analyze: both models are cached on 2 datasets (data=shapes data.per_category=3 data.seed=0 "
        "data.size=32 data.variant=default; data=shapes data.per_category=3 data.seed=1 data.size=32 "
        "data.variant=default): say which with data="
    )
    named = ("data=shapes", *SMALL, "data.seed=1", "pooling=channel_mean", "permutations=19")
    result = cached("analyze", "source=pixels", "target=histogram", *named)
    assert result.exit_code == 0, result.output
    assert "24 samples in 24 groups" in result.output


def test_different_data_on_the_two_sides(run):
    assert run("extract", "model=pixels", *SMALL).exit_code == 0
    assert run("extract", "model=histogram", *SMALL, "data.seed=1").exit_code == 0
    assert says(run, "analyze", "source=pixels", "target=histogram") == (
        "foresight analyze: pixels and histogram are cached on different data: extract both on the same, "
        "with the same data= settings"
    )


def test_an_incomplete_entry_does_not_count(cached, tmp_path):
    for manifest in (tmp_path / "outputs/cache/pixels").rglob("manifest.json"):
        manifest.unlink()
    assert "no such latents in the cache" in says(cached, "analyze", "source=pixels", "target=histogram")


def test_an_unreadable_entry_is_passed_over(cached, tmp_path):
    (entry,) = (tmp_path / "outputs/cache/histogram/layer-final/channel_mean").iterdir()
    twin = entry.with_name("0123456789abcdef")
    shutil.copytree(entry, twin)
    (twin / "recipe.json").write_text('{"format": 99}')
    result = cached("analyze", "source=pixels", "target=histogram")
    assert "warning: passed over:" in result.output
    assert "24" in result.output  # it went on with the others


def test_adapt_takes_one_layer_and_pooling(cached):
    result = cached("adapt", "source=pixels", "target=histogram", "pooling=all")
    assert result.exit_code == 2
    assert result.output.splitlines()[-1] == (
        "foresight adapt: adapt takes one layer and one pooling of the target, as target.layer=final "
        "target.pooling=flat. To try several, sweep: foresight adapt -m target.layer=4,8,final"
    )


@pytest.mark.parametrize("stage", ["analyze", "adapt"])
def test_an_empty_cache_is_said_before_anything_is_hashed(run, tmp_path, monkeypatch, stage):
    """Neither the pictures nor the weights: both may be gigabytes. A mistyped folder is said first."""
    from PIL import Image

    from foresight_cli.data.imagefolder import ImageFolder
    from foresight_cli.models.checkpoint import TINY, Checkpoint

    (tmp_path / "p").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "p/a.png")
    for hashed in (ImageFolder, Checkpoint):
        monkeypatch.setattr(hashed, "identity", lambda *_, **__: pytest.fail("it was hashed"))
    words = ("layer=final", "data=imagefolder", "data.path=p")
    message = says(run, stage, f"source.model.checkpoint={TINY / 'qwen25vl'}", *words)
    assert message.startswith(f"foresight {stage}: source=qwen25vl layer=final pooling=")
    assert ": no such latents in the cache. Type: foresight extract model=qwen25vl" in message
    assert "nowhere" in says(run, stage, "source.model.checkpoint=./nowhere", *words)
