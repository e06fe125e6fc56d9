"""Tests of whole sessions: every command that a stage prints runs as printed, and ends with status 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from foresight_cli.training import fit
from tests.models.vision_networks import NETWORKS
from tests.suggest.printed_lines import Session, commands


@pytest.fixture
def session(run) -> Session:
    """Return the session of a user in an empty folder."""
    return Session(run)


@pytest.fixture(autouse=True)
def quick(monkeypatch, no_figures) -> None:
    """Draw no figures and train adapters for two epochs: that saves time and changes no printed line."""
    trained = fit.train

    def train(adapter, *args, **settings):
        adapter.config = replace(adapter.config, epochs=2)
        return trained(adapter, *args, **settings)

    monkeypatch.setattr(fit, "train", train)


@pytest.fixture
def latents(tmp_path) -> Callable[..., None]:
    """Return a function that writes latents of the same 40 samples, each a noisy linear image of the same factors."""

    def write(*names: str, ids=None, width: int = 6) -> None:
        factors = np.random.default_rng(0).normal(size=(len(ids or range(40)), 4))
        for number, name in enumerate(names):
            rng = np.random.default_rng(number + 1)
            values = factors @ rng.normal(size=(4, width)) + 0.1 * rng.normal(size=(len(factors), width))
            own = np.array(ids or [f"s{i}" for i in range(40)])
            np.savez(tmp_path / name, ids=own, values=values.astype(np.float32))

    return write


@pytest.fixture
def photos(tmp_path) -> Path:
    """Write 32 pictures in two folders, in a folder whose name needs quotes."""
    folder = tmp_path / "my photos, été"
    rng = np.random.default_rng(0)
    for number in range(32):
        path = folder / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        blocks = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
        Image.fromarray(blocks).save(path)
    return folder


@pytest.fixture
def vit(tmp_path) -> None:
    """Write a small ViT into the folder ``vit``."""
    NETWORKS["vit"].write(tmp_path / "vit")


def test_two_files_of_latents(session, latents):
    latents("a.npz", "b.npz")
    assert "Next: extract the other file's rows of the same ids, with data=precomputed data.path=a.npz\n" in (
        session.type("foresight extract model=precomputed model.path=a.npz")
    )
    pair = (
        "source=precomputed source.model.path=a.npz target=precomputed target.model.path=b.npz "
        "data=precomputed data.path=b.npz"
    )
    assert session.follow("foresight extract model=precomputed model.path=b.npz") == [
        "foresight extract model=precomputed model.path=b.npz",
        f"foresight analyze {pair}",
        "foresight report",
        f"foresight adapt {pair} layer=final",
    ]
    printed = session.outputs[f"foresight analyze {pair}"]
    assert "\na final channel_mean -> b final channel_mean: R2 " in printed
    assert "# a to b: Latent Space Alignment - Findings" in session.outputs["foresight report"]


SMALL = "data.per_category=4 data.size=64"


def test_the_two_tiny_models(session):
    typed = session.follow(f"foresight extract model=qwen25vl weights=tiny layer.index=9 {SMALL}")
    on = f"data=shapes {SMALL}"
    assert typed == [
        f"foresight extract model=qwen25vl weights=tiny layer.index=9 {SMALL}",
        f"foresight extract model=ltxv pooling=all {on} weights=tiny",
        f"foresight analyze {on} weights=tiny",
        "foresight report",
        f"foresight adapt {on} weights=tiny layer.index=9 pooling=flat",
        "foresight extract model=qwen25vl weights=tiny model.dtype=float32 layer.index=9 pooling=channel_mean "
        f"{on} model.init=random",
    ]


def test_the_two_tiny_models_from_the_other_end(session):
    small = "data.per_category=4 data.size=32"
    pair = f"target.model.resolution=32 data=shapes {small} weights=tiny"
    typed = session.follow(f"foresight extract model=ltxv weights=tiny model.resolution=32 pooling=flat {small}")
    assert typed[:4] == [
        f"foresight extract model=ltxv weights=tiny model.resolution=32 pooling=flat {small}",
        f"foresight extract model=qwen25vl layer=all pooling=all data=shapes {small} weights=tiny",
        f"foresight analyze {pair}",
        "foresight report",
    ]
    assert typed[4].startswith(f"foresight adapt {pair} layer")
    assert [line.split()[1] for line in typed[5:]] == ["extract"]  # the source with random weights


def test_a_network_of_ones_own_and_a_file(session, vit, photos, latents):
    latents("other features.npz", ids=[f"{'ab'[i % 2]}/{i}.png" for i in range(32)])
    on = "data=imagefolder \"data.path='my photos, été'\""
    vision = "model.checkpoint=vit model.dtype=float32 model.tokens=cls"
    printed = session.type(f"foresight extract model=vision {vision} layer.index=2 {on}")
    assert "Next: extract the other model on the same data" in printed
    file = "foresight extract model=precomputed 'model.path=other features.npz'"
    printed = session.type(f"{file} {on} \"cache_dir='elsewhere, too'\"")
    assert "Next: extract the other model on the same data (with \"cache_dir='elsewhere, too'\"), then" in printed
    pair = "source=vision source.model.checkpoint=vit source.model.tokens=cls target=precomputed "
    pair += f"'target.model.path=other features.npz' {on}"
    assert session.follow(f"{file} {on}") == [
        f"{file} {on}",
        f"foresight analyze {pair}",
        "foresight report",
        f"foresight adapt {pair} layer.index=2",
        f"foresight extract model=vision {vision} layer.index=2 pooling=channel_mean {on} model.init=random",
    ]


@pytest.fixture
def saved_dataset(tmp_path, photos) -> None:
    """Save the pictures with ``datasets`` in the folder ``set #1``."""
    datasets = pytest.importorskip("datasets")
    rows = {"image": [str(path) for path in sorted(photos.rglob("*.png"))], "x": [float(i) for i in range(32)]}
    features = datasets.Features({"image": datasets.Image(), "x": datasets.Value("float32")})
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "set #1")


@pytest.fixture
def autoencoder(tmp_path) -> None:
    """Write a small autoencoder into the folder ``vaes/small``."""
    from diffusers import AutoencoderTiny

    torch.manual_seed(0)
    widths = {f"{half}_block_out_channels": (8, 8) for half in ("encoder", "decoder")}
    blocks = {f"num_{half}_blocks": (1, 1) for half in ("encoder", "decoder")}
    AutoencoderTiny(**widths, **blocks).save_pretrained(tmp_path / "vaes/small")


def test_a_network_and_an_autoencoder_in_another_cache(session, vit, autoencoder, saved_dataset):
    on = "data=hf 'data.path=set #1' data.attributes=[x]"
    decoder = "model.checkpoint=vaes/small model.dtype=float32 model.resolution=32"
    session.type(f"foresight extract model=autoencoder {decoder} {on} 'cache_dir=my cache'")
    vision = "model.checkpoint=vit model.dtype=float32"
    pair = (
        "source=vision source.model.checkpoint=vit target=autoencoder "
        "target.model.checkpoint=vaes/small target.model.resolution=32"
    )
    on = "data=hf 'data.path=set #1' 'data.attributes=[x]'"
    cache = "'cache_dir=my cache'"
    assert session.follow(f"foresight extract model=vision {vision} pooling=flat {on} {cache}") == [
        f"foresight extract model=vision {vision} pooling=flat {on} {cache}",
        f"foresight analyze {pair} {on} {cache}",
        "foresight report",
        f"foresight adapt {pair} {on} {cache} layer=final source.pooling=flat",
        f"foresight extract model=vision {vision} layer=final pooling=flat {on} {cache} model.init=random",
    ]


def test_sweeps(session):
    pair = "source=pixels target=histogram"
    for model in ("pixels 'model.resolution=4,8'", "histogram"):
        session.type(f"foresight extract -m model={model} data.per_category=4 data.size=32")
    quick = "permutations=19 controls=[]"
    typed = session.follow(f"foresight analyze -m {pair} source.model.resolution=4,8 {quick}")
    assert [line.split()[1] for line in typed] == ["analyze", "report", "report", "adapt", "analyze", "analyze"]
    assert typed[2].startswith("foresight report run=outputs/analyze/multirun/")
    on = "source.model.resolution=4 data.per_category=4 data.size=32"
    sweep = f"foresight adapt -m {pair} data=shapes {on} adapter=linear,lowrank"
    assert session.follow(sweep) == [sweep]  # then report, which was typed above


def test_a_run_elsewhere_is_named(session, latents):
    latents("a.npz", "b.npz")
    for name in "ab":
        session.type(f"foresight extract model=precomputed model.path={name}.npz data=precomputed data.path=a.npz")
    pair = "source=precomputed source.model.path=a.npz target=precomputed target.model.path=b.npz"
    assert session.follow(f"foresight adapt {pair} adapter=linear")[:2] == [
        f"foresight adapt {pair} adapter=linear",
        f"foresight analyze {pair}",
    ]
    printed = session.type(f"foresight analyze {pair} permutations=19 'hydra.run.dir=my runs/1'")
    assert commands(printed) == ["foresight report 'run=my runs/1'"]
    assert session.follow(*commands(printed))[0] == "foresight report 'run=my runs/1'"
