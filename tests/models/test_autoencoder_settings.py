"""``model=autoencoder``: settings that are refused, and when; random weights; facts from ``config.json`` alone."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from foresight_cli.config import AutoencoderConfig
from foresight_cli.data.clip import Clip
from foresight_cli.errors import UsageError
from foresight_cli.models import Tap, open_model
from tests.refusal import refusal

MEAN, FLAT = Tap("final", "channel_mean"), Tap("final", "flat")
WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(name="settings")
def _settings(autoencoder_config):
    return autoencoder_config


def clip(frames: int, seed: int = 0) -> Clip:
    pixels = np.random.default_rng(seed).integers(0, 256, (frames, 32, 32, 3), dtype=np.uint8)
    return Clip(tuple(Image.fromarray(frame) for frame in pixels))


def flat(config: AutoencoderConfig, *clips: Clip) -> torch.Tensor:
    model = open_model(config)
    model.load("cpu")
    return model.features([model.prepare(c, "abc"[i]) for i, c in enumerate(clips)], [FLAT])[FLAT]


def test_recipe_names_what_changes_the_latents(settings, autoencoder_checkpoint):
    config = settings(autoencoder_checkpoint("AutoencoderKL"))
    base = open_model(config).recipe("final")
    assert base == {
        "name": "autoencoder",
        "checkpoint": "local",
        "dtype": "float32",
        "subfolder": None,
        "resolution": 32,
        "resize": "pil-bicubic",
        "posterior": "mean",
        "normalize": False,
    }
    others = [{"dtype": "float16"}, {"resolution": 64}, {"sample": True}, {"sample": True, "seed": 1}]
    others += [{"normalize": True}, {"init": "random"}, {"init": "random", "init_seed": 1}, {"checkpoint": "a/b"}]
    recipes = [base, *(open_model(dataclasses.replace(config, **other)).recipe("final") for other in others)]
    assert len({json.dumps(recipe, sort_keys=True) for recipe in recipes}) == len(recipes)
    assert open_model(dataclasses.replace(config, seed=1)).recipe("final") == base  # no draw, no seed


# --- random weights


def test_random_weights_need_no_file_and_are_those_of_their_seed(settings, autoencoder_checkpoint, tmp_path):
    folder = autoencoder_checkpoint("AutoencoderKL")
    shutil.copy(folder / "config.json", tmp_path)
    config = settings(tmp_path, init="random", init_seed=3)
    got = flat(config, clip(1))
    torch.manual_seed(3)
    vae = diffusers.AutoencoderKL.from_config(diffusers.AutoencoderKL.load_config(folder)).eval()
    pixels = torch.from_numpy(np.asarray(clip(1).frames[0]).astype(np.float32) / 127.5 - 1).movedim(-1, 0)
    with torch.no_grad():
        want = vae.encode(pixels[None]).latent_dist.mode()
    torch.testing.assert_close(got, want.flatten(1), rtol=0, atol=1e-5)
    for other in (settings(folder), dataclasses.replace(config, init_seed=4)):
        assert not torch.allclose(flat(other, clip(1)), got, atol=1e-2)


@pytest.mark.slow
def test_random_weights_are_the_same_in_another_process(settings, autoencoder_checkpoint):
    config = settings(autoencoder_checkpoint("AutoencoderKLLTXVideo"), init="random", init_seed=3)
    code = f"""
import hashlib
from foresight_cli.config import AutoencoderConfig
from foresight_cli.models import open_model
model = open_model({config!r})
model.load("cpu")
weights = model._vae.state_dict()
print(hashlib.sha256(b"".join(weights[name].numpy().tobytes() for name in sorted(weights))).hexdigest())
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    model = open_model(config)
    model.load("cpu")
    weights = model._vae.state_dict()
    digest = hashlib.sha256(b"".join(weights[name].numpy().tobytes() for name in sorted(weights))).hexdigest()
    assert run.stdout.split()[-1] == digest


# --- what is refused


def test_resolution_is_held_against_the_network_before_its_weights(settings, autoencoder_checkpoint, tmp_path):
    shutil.copy(autoencoder_checkpoint("AutoencoderKLLTXVideo") / "config.json", tmp_path)
    model = open_model(settings(tmp_path, resolution=40))
    for call in (model.check_layers, model.load):
        assert (
            refusal(call, "cpu", kind=UsageError) == "model.resolution=40: it must be a multiple of 32, for instance 32"
        )


@pytest.mark.parametrize("name", ["AutoencoderTiny", "VQModel", "AutoencoderDC", "AutoencoderKLCosmos"])
def test_draw_without_a_posterior(settings, autoencoder_checkpoint, name):
    model = open_model(settings(autoencoder_checkpoint(name), sample=True))
    assert refusal(model.check_layers, (), kind=UsageError) == (
        f"model.sample=true: {name} has no posterior to draw from. Leave model.sample= out"
    )


def test_clip_for_a_network_of_pictures(settings, autoencoder_checkpoint):
    model = open_model(settings(autoencoder_checkpoint("AutoencoderKL")))
    reason = (
        "AutoencoderKL takes still pictures, not clips of 9 frames. Add data.frames=1, or choose a video autoencoder"
    )
    assert refusal(model.prepare, clip(9), "a.mp4/0") == f"'a.mp4/0': {reason}"
    assert refusal(model.row_bytes, FLAT, 9) == reason


@pytest.mark.parametrize("name", ["AutoencoderKL", "AutoencoderKLWan"])
def test_sample_without_pictures(settings, autoencoder_checkpoint, name):
    model = open_model(settings(autoencoder_checkpoint(name)))
    assert refusal(model.prepare, Clip((), name="a"), "a") == f"'a': {name} takes pictures, but the sample has none"


def test_number_of_frames_that_the_network_cannot_encode(settings, autoencoder_checkpoint):
    model = open_model(settings(autoencoder_checkpoint("AutoencoderKLHunyuanVideo15")))
    assert refusal(model.prepare, clip(7), "a") == ("'a': AutoencoderKLHunyuanVideo15 takes 5 or 9 frames, not 7")


@pytest.mark.parametrize(
    ("name", "frames", "used"),
    [("AutoencoderKLWan", 8, 5), ("AutoencoderKLLTXVideo", 16, 9)],
)
def test_number_of_frames_that_the_network_would_not_take_in_whole(
    settings, autoencoder_checkpoint, name, frames, used
):
    config = settings(autoencoder_checkpoint(name))
    assert refusal(flat, config, clip(frames)) == (
        f"'a': {name} leaves out the last {frames - used} of {frames} frames. Give it clips of {used}"
    )
    assert torch.equal(flat(config, Clip(clip(frames).frames[:used])), flat(config, clip(used)))


def test_number_of_frames_that_the_network_takes_in_its_own_way(settings, autoencoder_checkpoint):
    """CogVideoX averages 8 frames in pairs of pairs to 2 latents, and each frame changes them."""
    config = settings(autoencoder_checkpoint("AutoencoderKLCogVideoX"))
    assert flat(config, clip(8)).shape == (1, 4 * 2 * 4 * 4)


def test_missing_weight_is_refused_not_filled_at_random(settings, autoencoder_checkpoint, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = autoencoder_checkpoint("AutoencoderKLWan")
    shutil.copy(folder / "config.json", tmp_path)
    weights = load_file(folder / WEIGHTS)
    del weights["encoder.conv_in.weight"]
    save_file(weights, tmp_path / WEIGHTS, metadata={"format": "pt"})
    assert refusal(open_model(settings(tmp_path)).load, "cpu") == (
        f"the checkpoint {tmp_path} lacks 1 weights of AutoencoderKLWan, for instance encoder.conv_in.weight: "
        "it is incomplete, or of another kind of model"
    )


def test_folder_without_weights_is_one_line(settings, autoencoder_checkpoint, tmp_path):
    shutil.copy(autoencoder_checkpoint("AutoencoderKL") / "config.json", tmp_path)
    reason = refusal(open_model(settings(tmp_path)).load, "cpu")
    assert reason == f"cannot read the checkpoint {tmp_path}: it has no weights ({WEIGHTS})"


def test_dtype_that_torch_cannot_run_here(settings, autoencoder_checkpoint):
    config = settings(autoencoder_checkpoint("AutoencoderKLCosmos"), dtype="bfloat16")
    assert refusal(flat, config, clip(1)) == (
        "AutoencoderKLCosmos does not run in bfloat16 on cpu "
        "(\"avg_pool3d_out_frame\" not implemented for 'BFloat16'). Add model.dtype=float32"
    )


# --- keys of latents that earlier versions scaled


@pytest.mark.parametrize(
    ("changes", "normalize", "own_key"),
    [
        ({"latent_channels": 16}, True, True),  # GLM-Image, whose pipeline does not read the scaling_factor
        ({"latent_channels": 16}, False, False),
        ({"latent_channels": 4}, True, False),  # Stable Diffusion XL
        ({"latent_channels": 16, "latents_mean": None}, True, False),  # Stable Diffusion 3
        ({"latent_channels": 16, "_class_name": "AutoencoderKLWan"}, True, False),
    ],
)
def test_latents_that_are_no_longer_scaled_have_another_key(
    settings, autoencoder_checkpoint, tmp_path, changes, normalize, own_key
):
    folder = shutil.copytree(autoencoder_checkpoint("AutoencoderKL"), tmp_path / "vae")
    content = json.loads((folder / "config.json").read_text())
    statistics = {"latents_mean": [0.1] * 16, "latents_std": [1.5] * 16}
    (folder / "config.json").write_text(json.dumps({**content, **statistics, **changes}))
    identity = open_model(settings(folder, normalize=normalize)).identity(reach_hub=False)
    assert set(identity) == ({"sha256", "scaling_factor"} if own_key else {"sha256"})
