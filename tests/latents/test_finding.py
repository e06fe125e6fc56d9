"""One entry by its names, or how those that fit differ; never an untrained network unless asked for."""

from __future__ import annotations

import pytest
from PIL import Image

from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry, find, load
from foresight_cli.latents.finding import by_layer
from tests.made_entries import made

DATA = ("data.per_category=2", "data.size=32")
QWEN = ("model=qwen25vl", "weights=tiny", *DATA)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    for layer in ("2", "10", "final"):
        made(folder, *QWEN, f"layer.index={layer}")
    made(folder, *QWEN, "layer.index=2", "model.init=random")
    made(folder, "model=pixels", *DATA)
    made(folder, "model=pixels", *DATA, "rows_per_shard=3")  # the same numbers in other files
    made(folder, "model=pixels", *DATA, "model.label=small", "model.resolution=16")
    made(folder, "model=histogram", *DATA, sealed=False)
    return folder


def refusal(root, **names):
    with pytest.raises(ForesightError) as caught:
        find(root, **names)
    return str(caught.value)


def test_the_one_that_fits(root):
    entry = find(root, model="qwen25vl", layer=2)
    assert isinstance(entry, Entry)
    assert (entry.recipe.layer, "init" in entry.recipe.model) == ("2", False)
    assert len(load(entry).ids) == entry.recipe.rows
    assert find(root, model="qwen25vl", layer="final", pooling="channel_mean", data="shapes").recipe.layer == "final"
    assert find(root, layer=2, init="random").recipe.model["init"] == "random"
    assert find(str(root), model="small").recipe.model["resolution"] == 16
    for folder in root.glob("*/*/*/*"):
        if folder.parts[-4] == "qwen25vl":
            assert find(root, key=folder.name[:8]).path.name == folder.name


def test_entries_that_differ_in_their_files_alone_are_one(root):
    labels = sorted({find(root, key=path.name).recipe.model["resolution"] for path in root.glob("pixels/*/*/*")})
    assert labels == [8, 16]
    assert find(root, model="pixels").recipe.model["resolution"] == 8  # a label tells more than the kind


def test_several_are_told_apart(root):
    qwen = {layer: find(root, model="qwen25vl", layer=layer).path.name[:8] for layer in (2, 10, "final")}
    assert refusal(root, model="qwen25vl") == (
        f"3 entries fit, say which with layer= or key=: layer=2 (key={qwen[2]}); layer=10 (key={qwen[10]}); "
        f"layer=final (key={qwen['final']})"
    )
    assert refusal(root, layer="final").startswith("3 entries fit, say which with model= or key=: model=")


def test_two_folders_of_pictures_are_told_apart_by_path(tmp_path):
    for name, colour in (("a", 0), ("b", 200)):
        (tmp_path / name / "x").mkdir(parents=True)
        Image.new("RGB", (32, 32), (colour, 0, 0)).save(tmp_path / name / "x/0.png")
        made(tmp_path / "cache", "model=pixels", "data=imagefolder", f"data.path={tmp_path / name}")
    message = refusal(tmp_path / "cache", model="pixels")
    assert message.startswith("2 entries fit, say which with key=: data.path=")
    assert {f"data.path={tmp_path / name}" for name in "ab"} <= set(message.replace(";", " ").split())


def test_what_is_not_there(root, tmp_path):
    assert refusal(root, model="qwen") == (
        f"no latents in {root} with model='qwen'; among those that fit so far, model is: pixels, small, qwen25vl"
    )
    assert refusal(root, model="qwen25vl", layer=9) == (
        f"no latents in {root} with layer='9'; among those that fit so far, layer is: 2, 10, final"
    )
    assert refusal(root, model="qwen25vl init=random") == (
        f"the latents in {root} that fit are of untrained networks: add init='random'"
    )
    assert refusal(root, key="zz") == (
        f"no latents in {root} with a key that begins with zz. To see them: foresight cache ls cache_dir={root}"
    )
    assert refusal(tmp_path) == (
        f"no latents in {tmp_path}: run foresight extract first, or give the folder of another cache"
    )


def test_listings_count_layers(root):
    layers = [f"layer-{layer}" for layer in ("final", "11", "1", "10", "0", "2")]
    ordered = sorted((root / "vision" / layer / "flat" / "00" for layer in layers), key=by_layer)
    assert [path.parts[-3] for path in ordered] == [
        "layer-0", "layer-1", "layer-2", "layer-10", "layer-11", "layer-final",
    ]  # fmt: skip
