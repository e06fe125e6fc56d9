"""The facts about an autoencoder that its ``config.json`` gives: no test here has weights to read."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import diffusers
import numpy as np
import pytest
from PIL import Image

from foresight_cli.data.clip import Clip
from foresight_cli.errors import UsageError
from foresight_cli.models import Tap, open_model
from tests.refusal import refusal

MEAN, FLAT = Tap("final", "channel_mean"), Tap("final", "flat")


@pytest.fixture(name="settings")
def _settings(autoencoder_config):
    return autoencoder_config


@pytest.fixture
def only_config(tmp_path):
    """``only_config("AutoencoderDC", latent_channels=8)`` -> a folder with a ``config.json`` and no weights."""

    def written(name: str | None, **config) -> Path:
        (tmp_path / "config.json").write_text(json.dumps(({"_class_name": name} if name else {}) | config))
        return tmp_path

    return written


@pytest.mark.parametrize(
    ("name", "frames", "channels", "values"),
    [
        ("AutoencoderKLFlux2", 1, 32, 32 * 32 * 32),
        ("AutoencoderKLMochi", 7, 12, 12 * 2 * 32 * 32),
    ],
)
def test_row_bytes_of_published_sizes_need_no_weights(settings, only_config, name, frames, channels, values):
    model = open_model(settings(only_config(name), resolution=256, dtype="bfloat16"))
    assert model.row_bytes(MEAN, frames) == 4 * channels
    assert model.row_bytes(FLAT, frames) == 2 * values


def test_row_bytes_are_unknown_where_layers_keep_float32(settings, only_config):
    model = open_model(settings(only_config("AutoencoderKLMiniMaxH3"), dtype="bfloat16"))
    assert (model.row_bytes(MEAN, 1), model.row_bytes(FLAT, 1)) == (4 * 24, None)


def test_threads_that_prepare_ask_the_network_once(settings, only_config):
    model = open_model(settings(only_config("AutoencoderKLWan", base_dim=8), resolution=64))
    model.check_layers(())
    asked, encode = [], model._outline._encode
    model._outline._encode = lambda shape: asked.append(shape) or encode(shape)
    pictures = Clip((Image.fromarray(np.zeros((64, 64, 3), np.uint8)),) * 5)
    with ThreadPoolExecutor(8) as threads:
        prepared = list(threads.map(lambda row: model.prepare(pictures, str(row)), range(16)))
    assert asked == [(3, 5, 64, 64)]
    assert {(p.shape, tuple(p.tensors["pixels"].shape)) for p in prepared} == {((5,), (3, 5, 64, 64))}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("UNet2DConditionModel", "UNet2DConditionModel is"),
        ("AutoencoderOfNextYear", "AutoencoderOfNextYear is"),
        ("AutoPipelineForText2Image", "AutoPipelineForText2Image is"),
        ("MMAudioVocoder", "MMAudioVocoder is"),
        (None, "its config.json names no class (_class_name), so it is"),
    ],
)
def test_class_that_is_no_autoencoder_is_named(settings, only_config, name, what):
    folder = only_config(name)
    assert refusal(open_model(settings(folder)).load, "cpu") == (
        f"the checkpoint {folder}: {what} no autoencoder of diffusers {diffusers.__version__}. "
        "In a whole pipeline, model.subfolder=vae names its autoencoder"
    )


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        (
            "CausalVideoAutoencoder",
            "the layout of Lightricks' own code. Convert its single file to that of diffusers: python -c "
            "'from diffusers import AutoencoderKLLTXVideo as A; "
            'A.from_single_file("FILE.safetensors").save_pretrained("converted/vae")\' '
            "and take model.checkpoint=converted model.subfolder=vae",
        ),
        (
            "FlaxAutoencoderKL",
            "whose weights are for Flax. Take those for PyTorch, often in the branch main (model.revision=main)",
        ),
    ],
)
def test_classes_that_diffusers_does_not_read(settings, only_config, name, advice):
    folder = only_config(name)
    assert refusal(open_model(settings(folder)).check_layers, ()) == (
        f"config.json of the checkpoint {folder} names {name}, {advice}"
    )


def test_autoencoder_that_takes_neither_pictures_nor_clips(settings, only_config):
    why = "Encoding without tiling has not been implemented yet"
    assert refusal(open_model(settings(only_config("AutoencoderKLAllegro"))).check_layers, ()) == (
        f"AutoencoderKLAllegro encodes neither pictures ({why}) nor clips ({why})"
    )


def test_autoencoder_that_resizes_by_itself(settings, only_config):
    assert refusal(open_model(settings(only_config("AutoencoderRAE"))).check_layers, ()) == (
        "AutoencoderRAE resizes every picture to a fixed size, so model.resolution= would have no effect: "
        "model=autoencoder wants a network whose latents grow with the picture"
    )


def test_config_that_lacks_what_its_class_wants(settings, only_config):
    folder = only_config("AutoencoderKLHunyuanImage", in_channels=3, out_channels=3, latent_channels=8)
    message = refusal(open_model(settings(folder)).check_layers, ())
    assert message.startswith(f"cannot read the checkpoint {folder}: ")
    assert "missing 4 required positional arguments: 'block_out_channels'" in message


def test_config_that_is_no_json(settings, tmp_path):
    (tmp_path / "config.json").write_text("weights")
    assert refusal(open_model(settings(tmp_path)).check_layers, ()) == (
        f"config.json of {tmp_path} is not JSON (Expecting value: line 1 column 1 (char 0))"
    )


@pytest.mark.parametrize(
    ("name", "config", "why"),
    [
        ("AutoencoderKLKVAEVideo", {"ch": 32}, "it has no latents_mean and latents_std, and no scaling_factor"),
        (
            "AutoencoderKLWan",
            {"base_dim": 8, "z_dim": 4},
            "latents_mean and latents_std have 16 and 16 values for 4 channels",
        ),
    ],
)
def test_normalize_without_a_scale(settings, only_config, name, config, why):
    model = open_model(settings(only_config(name, **config), normalize=True))
    assert refusal(model.check_layers, (), kind=UsageError) == (
        f"model.normalize=true: {name} has no scale, as {why}. Leave model.normalize= out"
    )
