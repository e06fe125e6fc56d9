"""``model=autoencoder`` against the same classes called through diffusers alone."""

from __future__ import annotations

import hashlib
import json
import shutil
from functools import lru_cache
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from foresight_cli.config import AutoencoderConfig
from foresight_cli.data.clip import Clip
from foresight_cli.models import Tap, open_model

MEAN, FLAT = Tap("final", "channel_mean"), Tap("final", "flat")
DRAWING = ("AutoencoderKL", "AutoencoderKLLTXVideo")
STILL = {  # the latents of a picture of 32 x 32
    "AutoencoderKL": (4, 4, 4),
    "AutoencoderTiny": (4, 4, 4),
    "VQModel": (3, 8, 8),
    "AutoencoderDC": (8, 16, 16),
}
VIDEO = {  # and of a clip of 9 such frames
    "AutoencoderKLWan": (4, 3, 4, 4),
    "AutoencoderKLCogVideoX": (4, 3, 4, 4),
    "AutoencoderKLHunyuanVideo": (4, 3, 4, 4),
    "AutoencoderKLLTXVideo": (8, 2, 1, 1),
    "AutoencoderKLCosmos": (4, 2, 4, 4),
}


def clip(seed: int, frames: int = 1, side: int = 32) -> Clip:
    """Return a smooth moving picture: noise of 4 x 4 cells, enlarged."""
    cells = np.random.default_rng(seed).integers(0, 256, (frames, 4, 4, 3), dtype=np.uint8)
    return Clip(tuple(Image.fromarray(f).resize((side, side), Image.Resampling.BICUBIC) for f in cells))


PICTURES, CLIPS = [clip(i) for i in range(8)], [clip(i, frames=9) for i in range(3)]


@pytest.fixture
def config(autoencoder_checkpoint, autoencoder_config):
    """``config("AutoencoderKL", seed=1)``: the settings for the small checkpoint of that class."""
    return lambda name, **changes: autoencoder_config(autoencoder_checkpoint(name), **changes)


@lru_cache
def loaded(config: AutoencoderConfig):
    model = open_model(config)
    model.load("cpu")
    return model


def features(config, clips, ids="abcdefgh", batch: int = 8) -> dict[Tap, torch.Tensor]:
    model = loaded(config)
    prepared = [model.prepare(c, i) for c, i in zip(clips, ids, strict=False)]
    parts = [model.features(prepared[i : i + batch], [MEAN, FLAT]) for i in range(0, len(prepared), batch)]
    return {tap: torch.cat([part[tap] for part in parts]) for tap in (MEAN, FLAT)}


@lru_cache
def network(checkpoint: str):
    name = json.loads(Path(checkpoint, "config.json").read_text())["_class_name"]
    return getattr(diffusers, name).from_pretrained(checkpoint, low_cpu_mem_usage=False).eval()


def encoded(config, clips):
    """Encode each of ``clips`` alone with ``encode`` of diffusers, its pixels scaled to [-1, 1] in float64."""
    vae = network(config.checkpoint)
    latents = []
    for sample in clips:
        pixels = torch.tensor(np.stack([np.asarray(f) for f in sample.frames]).tolist(), dtype=torch.float64)
        pixels = (pixels / 255 * 2 - 1).movedim(-1, 0).float()[None]  # [1, 3, T, H, W]
        with torch.no_grad():
            latents.append(vae.encode(pixels[:, :, 0] if type(vae).__name__ in STILL else pixels))
    return latents


def latents(config, clips) -> torch.Tensor:
    name = type(network(config.checkpoint)).__name__
    if name == "AutoencoderDC":
        return torch.cat([out.latent for out in encoded(config, clips)])
    if name in ("AutoencoderTiny", "VQModel"):
        return torch.cat([out.latents for out in encoded(config, clips)])
    return torch.cat([out.latent_dist.mode() for out in encoded(config, clips)])


def assert_equal(got: torch.Tensor, want: torch.Tensor) -> None:
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


# --- the numbers


@pytest.mark.parametrize("name", [*STILL, *VIDEO])
def test_pictures_equal_diffusers_at_any_batch_size(config, name):
    want = latents(config(name), PICTURES)
    assert want.shape == (8, *(STILL.get(name) or (VIDEO[name][0], 1, *VIDEO[name][2:])))
    assert want.std(dim=0).mean() > 5e-3  # the random network distinguishes pictures
    for batch in (1, 3, 8):
        got = features(config(name), PICTURES, batch=batch)
        assert_equal(got[FLAT], want.reshape(8, -1))
        assert_equal(got[MEAN], want.mean(dim=tuple(range(2, want.ndim))))


@pytest.mark.parametrize("name", VIDEO)
def test_clips_equal_diffusers_at_any_batch_size(config, name):
    want = latents(config(name), CLIPS)
    assert want.shape == (3, *VIDEO[name])
    for batch in (1, 3):
        got = features(config(name), CLIPS, batch=batch)
        assert_equal(got[FLAT], want.reshape(3, -1))
        assert_equal(got[MEAN], want.mean(dim=(2, 3, 4)))


def test_a_network_that_takes_no_batch_is_given_one_sample_at_a_time(config):
    """HunyuanVideo 1.5 in diffusers 0.42: its attention mask is for a batch of one."""
    settings = config("AutoencoderKLHunyuanVideo15")
    with pytest.raises(RuntimeError, match="shape"), torch.no_grad():
        network(settings.checkpoint).encode(torch.zeros(2, 3, 1, 32, 32))
    for clips in (PICTURES[:3], CLIPS[:2]):
        assert_equal(features(settings, clips)[FLAT], latents(settings, clips).flatten(1))


@pytest.mark.parametrize("name", VIDEO)
def test_nothing_of_one_call_is_left_for_the_next(config, name):
    """Some of these networks keep the features of earlier frames while they encode a clip."""
    first = features(config(name), CLIPS[:1])[FLAT]
    still = features(config(name), PICTURES[:1])[FLAT]
    features(config(name), CLIPS[1:])
    assert torch.equal(features(config(name), CLIPS[:1])[FLAT], first)
    assert torch.equal(features(config(name), PICTURES[:1])[FLAT], still)


@pytest.mark.parametrize("name", [*STILL, *VIDEO])
def test_neither_slices_nor_tiles(config, name):
    vae = loaded(config(name))._vae
    assert (getattr(vae, "use_slicing", False), getattr(vae, "use_tiling", False)) == (False, False)


@pytest.mark.parametrize("name", [*STILL, *VIDEO])
def test_row_bytes_are_what_is_given(config, name):
    for clips in (PICTURES[:1], *([CLIPS[:1]] if name in VIDEO else [])):
        for tap, values in features(config(name), clips).items():
            assert loaded(config(name)).row_bytes(tap, len(clips[0].frames)) == values.nbytes, tap


@pytest.mark.parametrize("name", [*STILL, *(name for name in VIDEO if name != "AutoencoderKLCosmos")])
def test_half_precision_stays_close(config, name):
    """bfloat16 has 8 bits: within 3% of the latents' size; the largest error measured was 2.4%."""
    exact, rounded = features(config(name), PICTURES), features(config(name, dtype="bfloat16"), PICTURES)
    assert (rounded[FLAT].dtype, rounded[MEAN].dtype) == (torch.bfloat16, torch.float32)
    for tap in (MEAN, FLAT):
        assert (rounded[tap].float() - exact[tap]).norm() < 0.03 * exact[tap].norm()
        assert loaded(config(name, dtype="bfloat16")).row_bytes(tap, 1) == rounded[tap][0].nbytes


def test_other_sizes_are_resized_by_pil_bicubic(config):
    wide = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8))
    by_hand = wide.resize((32, 32), Image.Resampling.BICUBIC)
    got = [features(config("AutoencoderKL"), [Clip((picture,))])[FLAT] for picture in (wide, by_hand)]
    assert torch.equal(*got)
    assert_equal(got[0], latents(config("AutoencoderKL"), [Clip((by_hand,))]).flatten(1))


# --- a draw from the posterior


@pytest.mark.parametrize("name", DRAWING)
def test_a_draw_is_mean_plus_deviation_times_the_noise_of_seed_and_sample(config, name):
    got = features(config(name, sample=True, seed=5), PICTURES[:2], ids=("x/1", "y"))[FLAT]
    for row, sample_id, out in zip(got, ("x/1", "y"), encoded(config(name), PICTURES[:2]), strict=True):
        seed = int(hashlib.sha256(f"5/{sample_id}".encode()).hexdigest()[:14], 16)
        posterior = out.latent_dist
        drawn = torch.randn(posterior.mean[0].shape, generator=torch.Generator().manual_seed(seed))
        assert_equal(row, (posterior.mean + posterior.std * drawn).flatten())


@pytest.mark.parametrize("name", DRAWING)
def test_batch_mates_do_not_change_a_draw(config, name):
    settings = config(name, sample=True)
    together = features(settings, PICTURES)[FLAT]
    assert_equal(features(settings, PICTURES, batch=1)[FLAT], together)
    assert_equal(features(settings, PICTURES[::-1], ids="hgfedcba")[FLAT].flip(0), together)
    assert not torch.allclose(features(settings, PICTURES, ids="hgfedcba")[FLAT], together, atol=1e-2)


# --- normalized for the diffusion model


def test_shift_and_scale_of_the_config(config):
    want = (latents(config("AutoencoderKL"), PICTURES) - 0.25) * 0.18215
    assert_equal(features(config("AutoencoderKL", normalize=True), PICTURES)[FLAT], want.flatten(1))


@pytest.mark.parametrize(("name", "scale"), [("AutoencoderDC", 0.4), ("AutoencoderKLCogVideoX", 1.15258426)])
def test_scale_without_a_shift(config, name, scale):
    want = latents(config(name), PICTURES) * scale
    assert_equal(features(config(name, normalize=True), PICTURES)[FLAT], want.flatten(1))


def test_mean_and_deviation_of_the_config(config):
    mean, std = (torch.tensor(v).view(1, 4, 1, 1, 1) for v in ([0.1, -0.2, 0.3, -0.4], [0.5, 1.0, 2.0, 3.0]))
    want = (latents(config("AutoencoderKLWan"), CLIPS) - mean) / std
    assert_equal(features(config("AutoencoderKLWan", normalize=True), CLIPS)[FLAT], want.flatten(1))


def test_mean_and_deviation_among_the_weights(config):
    vae = network(config("AutoencoderKLLTXVideo").checkpoint)
    mean, std = (v.view(1, 8, 1, 1, 1) for v in (vae.latents_mean, vae.latents_std))
    assert mean.min() > 0.4
    want = (latents(config("AutoencoderKLLTXVideo"), CLIPS) - mean) / std
    assert_equal(features(config("AutoencoderKLLTXVideo", normalize=True), CLIPS)[FLAT], want.flatten(1))


def test_a_scale_beside_mean_and_deviation(config, autoencoder_config, tmp_path):
    """Stable Diffusion XL's pipeline undoes it by ``z * latents_std / scaling_factor + latents_mean``."""
    vae = network(config("AutoencoderKL").checkpoint)
    vae = type(vae).from_config({**vae.config, "latents_mean": [1, 2, 3, 4], "latents_std": [5, 6, 7, 8]})
    vae.load_state_dict(network(config("AutoencoderKL").checkpoint).state_dict())
    vae.save_pretrained(tmp_path)
    mean, std = (torch.tensor(v).view(1, 4, 1, 1) for v in ([1.0, 2, 3, 4], [5.0, 6, 7, 8]))
    want = (latents(config("AutoencoderKL"), PICTURES) - mean) * 0.18215 / std
    got = features(autoencoder_config(tmp_path, normalize=True), PICTURES)[FLAT]
    assert_equal(got, want.flatten(1))


# --- published checkpoints


def test_names_of_the_first_diffusers_are_read(config, autoencoder_config, tmp_path):
    """The attention of stabilityai/sd-vae-ft-mse has query, key, value and proj_attn."""
    from safetensors.torch import load_file, save_file

    folder = config("AutoencoderKL").checkpoint
    weights = load_file(f"{folder}/diffusion_pytorch_model.safetensors")
    first = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = {}
    for name, value in weights.items():
        for new, old in first.items():
            name = name.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
        renamed[name] = value
    assert len(renamed.keys() - weights.keys()) == 16
    save_file(renamed, tmp_path / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    shutil.copyfile(f"{folder}/config.json", tmp_path / "config.json")
    got = features(autoencoder_config(tmp_path), PICTURES)[FLAT]
    assert_equal(got, latents(config("AutoencoderKL"), PICTURES).flatten(1))


def test_subfolder_of_a_pipeline(config, autoencoder_config, tmp_path):
    network(config("AutoencoderKL").checkpoint).save_pretrained(tmp_path / "vae")
    got = features(autoencoder_config(tmp_path, subfolder="vae"), PICTURES)[FLAT]
    assert_equal(got, latents(config("AutoencoderKL"), PICTURES).flatten(1))
