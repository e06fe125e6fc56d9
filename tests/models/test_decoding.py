"""Decoding latents to pictures, against the decoders called through diffusers alone."""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from foresight_cli.config import LTXVConfig
from foresight_cli.data.clip import Clip
from foresight_cli.models import Tap, open_model
from foresight_cli.models.decoding import decoded
from tests.refusal import refusal

FLAT = Tap("final", "flat")
STILL = ("AutoencoderKL", "AutoencoderTiny", "VQModel", "AutoencoderDC")
VIDEO = ("AutoencoderKLWan", "AutoencoderKLCogVideoX", "AutoencoderKLHunyuanVideo", "AutoencoderKLLTXVideo",
         "AutoencoderKLCosmos")  # fmt: skip
SCALED = ("AutoencoderKL", "AutoencoderDC", "AutoencoderKLCogVideoX", "AutoencoderKLWan", "AutoencoderKLLTXVideo")
"""Normalized by shift and factor, a factor alone, mean and deviation in the config, and among the weights."""


def clip(seed: int, frames: int = 1, side: int = 32) -> Clip:
    cells = np.random.default_rng(seed).integers(0, 256, (frames, 4, 4, 3), dtype=np.uint8)
    return Clip(tuple(Image.fromarray(f).resize((side, side), Image.Resampling.BICUBIC) for f in cells))


@pytest.fixture
def config(autoencoder_checkpoint, autoencoder_config):
    return lambda name, **changes: autoencoder_config(autoencoder_checkpoint(name), **changes)


@pytest.fixture(scope="module")
def ltxv(ltxv_checkpoint) -> LTXVConfig:
    return LTXVConfig(
        name="ltxv",
        checkpoint=str(ltxv_checkpoint),
        revision=None,
        subfolder="vae",
        dtype="float32",
        init="pretrained",
        init_seed=0,
        resolution=96,
        sample=False,
        seed=0,
        normalize=False,
    )


@lru_cache
def loaded(config):
    model = open_model(config)
    model.load("cpu")
    return model


def rows_of(model, clips) -> torch.Tensor:
    return model.features([model.prepare(sample, str(i)) for i, sample in enumerate(clips)], [FLAT])[FLAT]


def by_diffusers(vae, clips) -> torch.Tensor:
    """``vae.decode(vae.encode(pixels))`` of each clip alone, ``[n, T, H, W, 3]`` in [0, 1]."""
    shown = []
    for sample in clips:
        pixels = torch.tensor(np.stack([np.asarray(f) for f in sample.frames]).tolist(), dtype=torch.float64)
        pixels = (pixels / 255 * 2 - 1).movedim(-1, 0).float()[None]
        still = type(vae).__name__ in STILL
        with torch.no_grad():
            out = vae.encode(pixels[:, :, 0] if still else pixels)
            z = out.latent_dist.mode() if hasattr(out, "latent_dist") else getattr(out, "latents", None)
            made = vae.decode(out.latent if z is None else z).sample
        made = made.unsqueeze(2) if still else made
        shown.append(((made[0] + 1) / 2).clamp(0, 1).movedim(0, -1))
    return torch.stack(shown)


@lru_cache
def direct(config):
    kind = diffusers.AutoencoderKLLTXVideo if config.name == "ltxv" else diffusers.AutoModel
    folder = f"{config.checkpoint}/{config.subfolder}" if config.subfolder else config.checkpoint
    return kind.from_pretrained(folder, low_cpu_mem_usage=False).eval()


def assert_equal(got: torch.Tensor, want: torch.Tensor) -> None:
    torch.testing.assert_close(got, want, rtol=0, atol=3e-5)  # in colour: far below an 8-bit step


@pytest.mark.parametrize("frames", [1, 9])
def test_ltxv_decodes_as_diffusers_does(ltxv, frames):
    clips = [clip(seed, frames, side=96) for seed in range(2)]
    model = loaded(ltxv)
    want = by_diffusers(direct(ltxv), clips)
    assert want.shape == (2, frames, 96, 96, 3)
    assert want.std() > 1e-3
    assert_equal(model.decode(rows_of(model, clips), frames), want)


@pytest.mark.parametrize("name", [*STILL, *VIDEO])
def test_pictures_decode_as_diffusers_does(config, name):
    pictures = [clip(seed) for seed in range(3)]
    model = loaded(config(name))
    want = by_diffusers(direct(config(name)), pictures)
    assert want.shape == (3, 1, 32, 32, 3)
    assert_equal(model.decode(rows_of(model, pictures), 1), want)


@pytest.mark.parametrize("name", VIDEO)
def test_clips_decode_as_diffusers_does(config, name):
    clips = [clip(seed, frames=9) for seed in range(2)]
    model = loaded(config(name))
    want = by_diffusers(direct(config(name)), clips)
    assert want.shape == (2, 9, 32, 32, 3)
    assert_equal(model.decode(rows_of(model, clips), 9), want)


@pytest.mark.parametrize("name", SCALED)
def test_normalized_latents_decode_to_the_same_pictures(config, name):
    plain, scaled = loaded(config(name)), loaded(config(name, normalize=True))
    rows, normalized = (rows_of(model, [clip(0)]) for model in (plain, scaled))
    assert not torch.allclose(rows, normalized, atol=1e-2)
    assert_equal(scaled.decode(normalized, 1), plain.decode(rows, 1))


def test_ltxv_normalized_decodes_to_the_same_pictures(ltxv):
    plain, scaled = loaded(ltxv), loaded(dataclasses.replace(ltxv, normalize=True))
    clips = [clip(3, frames=9, side=96)]
    assert_equal(scaled.decode(rows_of(scaled, clips), 9), plain.decode(rows_of(plain, clips), 9))


def test_mean_deviation_and_factor_are_undone_as_by_stable_diffusion_xl(config, autoencoder_config, tmp_path):
    """Its pipeline decodes ``z * latents_std / scaling_factor + latents_mean``."""
    vae = direct(config("AutoencoderKL"))
    other = type(vae).from_config({**vae.config, "latents_mean": [1, 2, 3, 4], "latents_std": [5, 6, 7, 8]})
    other.load_state_dict(vae.state_dict())
    other.save_pretrained(tmp_path)
    z = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(v).view(1, 4, 1, 1) for v in ([1.0, 2, 3, 4], [5.0, 6, 7, 8]))
    with torch.no_grad():
        want = ((vae.decode(z * std / 0.18215 + mean).sample + 1) / 2).clamp(0, 1)
    got = loaded(autoencoder_config(tmp_path, normalize=True)).decode(z.flatten(1), 1)
    assert_equal(got, want.permute(0, 2, 3, 1)[:, None])


def test_whatever_an_adapter_gives_stays_in_range(ltxv):
    made = loaded(ltxv).decode(1e3 * torch.randn(2, 128 * 9, generator=torch.Generator().manual_seed(0)), 1)
    assert made.dtype == torch.float32
    assert (made.min(), made.max()) == (0, 1)


def test_half_precision_stays_close(config):
    exact, rounded = (loaded(config("AutoencoderKL", dtype=dtype)) for dtype in ("float32", "bfloat16"))
    rows = rows_of(exact, [clip(0)])
    made = rounded.decode(rows.bfloat16(), 1)
    assert made.dtype == torch.float32
    torch.testing.assert_close(made, exact.decode(rows, 1), rtol=0, atol=0.05)


# --- decoders that need more than latents


def small_ltxv(**changes):
    """All widths are equal: diffusers 0.42 cannot run these two options if they change."""
    torch.manual_seed(0)
    return diffusers.AutoencoderKLLTXVideo(
        latent_channels=8,
        block_out_channels=(16,) * 4,
        decoder_block_out_channels=(16,) * 4,
        layers_per_block=(1,) * 5,
        decoder_layers_per_block=(1,) * 5,
        **changes,
    ).eval()


def test_a_denoising_decoder_gets_a_noise_level_of_zero(tmp_path, autoencoder_config):
    vae = small_ltxv(timestep_conditioning=True)
    vae.save_pretrained(tmp_path)
    z = torch.randn(1, 8, 2, 1, 1, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        shown = {t: ((vae.decode(z, torch.tensor([t])).sample[0] + 1) / 2).clamp(0, 1).movedim(0, -1)
                 for t in (0.0, 0.05)}  # fmt: skip
    assert not torch.allclose(shown[0.0], shown[0.05], atol=1e-3)
    assert_equal(loaded(autoencoder_config(tmp_path)).decode(z.flatten(1), 9)[0], shown[0.0])


def test_noise_of_a_decoder_is_the_same_every_time_and_for_every_sample(tmp_path, autoencoder_config):
    vae = small_ltxv(decoder_inject_noise=(True,) * 5)
    for name, weight in vae.named_parameters():
        if "per_channel_scale" in name:
            torch.nn.init.normal_(weight)
    vae.save_pretrained(tmp_path)
    model = loaded(autoencoder_config(tmp_path))
    rows = torch.randn(1, 8, generator=torch.Generator().manual_seed(0)).repeat(2, 1)
    before = torch.get_rng_state()
    first, second = model.decode(rows, 1)
    assert torch.equal(before, torch.get_rng_state())  # the caller's random state is unchanged
    assert torch.equal(first, second)
    with torch.no_grad():
        torch.manual_seed(1)
        drawn = model._vae.decode(rows[:1].view(1, 8, 1, 1, 1)).sample
    assert not torch.allclose(drawn[0].movedim(0, -1) / 2 + 0.5, first, atol=1e-3)


def test_a_decoder_of_single_pictures_as_clips(tmp_path, autoencoder_config):
    torch.manual_seed(0)
    vae = diffusers.AutoencoderKLTemporalDecoder(block_out_channels=(32, 32), layers_per_block=1,
                                                 down_block_types=("DownEncoderBlock2D",) * 2).eval()  # fmt: skip
    vae.save_pretrained(tmp_path)
    model = loaded(autoencoder_config(tmp_path))
    rows = rows_of(model, [clip(0), clip(1)])
    with torch.no_grad():
        made = torch.cat([vae.decode(z[None], num_frames=1).sample for z in rows.view(2, 4, 16, 16)])
    want = ((made + 1) / 2).clamp(0, 1).permute(0, 2, 3, 1)[:, None]
    assert_equal(model.decode(rows, 1), want)


# --- refusals


def test_rows_of_another_size(ltxv):
    assert refusal(lambda: loaded(ltxv).decode(torch.zeros(1, 128), 9)) == (
        "128 values are no latents of 9 frames of 96 x 96 pixels: AutoencoderKLLTXVideo has 128 x 2 x 3 x 3 of them. "
        "Give rows of pooling=flat"
    )


def test_clips_of_a_network_of_pictures(config):
    assert refusal(lambda: loaded(config("AutoencoderKL")).decode(torch.zeros(1, 64), 9)) == (
        "AutoencoderKL takes still pictures, not clips of 9 frames. Add data.frames=1, or choose a video autoencoder"
    )


class Network(torch.nn.Module):
    """An autoencoder with the ``decode`` of a test."""

    dtype, device, config = torch.float32, torch.device("cpu"), {}

    def __init__(self, made: object) -> None:
        super().__init__()
        self.made = made

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        if isinstance(self.made, Exception):
            raise self.made
        return self.made


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (RuntimeError("out of\nmemory"), "Network cannot decode latents of the shape [1, 4, 1, 1]: out of"),
        (KeyError(), "Network cannot decode latents of the shape [1, 4, 1, 1]: KeyError"),
        (
            torch.zeros(1, 3, 16, 16),
            "Network decodes to the shape [1, 3, 1, 16, 16], where [1, 3, 1, 8, 8] went in",
        ),
        (
            torch.full((1, 3, 8, 8), torch.nan, dtype=torch.bfloat16),
            "Network decodes to pixels that are not finite. Extract with model.dtype=float32",
        ),
        (
            torch.full((1, 3, 8, 8), torch.nan),
            "Network decodes to pixels that are not finite. Its latents, or an adapter's, are too large for it",
        ),
    ],
)
def test_decoders_that_fail(made, message):
    assert refusal(lambda: decoded(Network(made), torch.zeros(2, 4, 1, 1), 1, 8)) == message


def test_an_encoder_alone():
    class Encoder:
        """Without ``decode``."""

    message = "Encoder has no decoder, and its latents cannot be shown as pictures"
    assert refusal(lambda: decoded(Encoder(), torch.zeros(1, 4, 1, 1), 1, 8)) == message


def test_other_models_have_no_decoder():
    from foresight_cli.config import PixelsConfig

    assert not hasattr(open_model(PixelsConfig(name="pixels", resolution=4)), "decode")
