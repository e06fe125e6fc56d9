"""Latents of published autoencoders against diffusers alone: ``from_pretrained``, ``encode``, and the pipelines."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from foresight_cli.config import AutoencoderConfig
from foresight_cli.data.clip import Clip
from foresight_cli.models import Tap, open_model
from tests.layouts.autoencoders import LAYOUTS, Layout

MEAN, FLAT = Tap("final", "channel_mean"), Tap("final", "flat")
READ_ELSEWHERE = ("ltx-video-0.9.7", "ltx-video-0.9.8")  # its clips are tested in test_ltx.py
NAMES = [name for name in LAYOUTS if name not in READ_ELSEWHERE]
DECODED = ("flux.1", "flux.2", "glm-image", "qwen-image-layered", "wan-2.2", "ltx-2", "sana")
CLIPS = [name for name in NAMES if LAYOUTS[name].frames > 1 and not name.startswith("ltx-video")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """``folder("sdxl")``: the checkpoint, written once."""
    return lru_cache(lambda name: LAYOUTS[name].write(tmp_path_factory.mktemp("layout")))


@pytest.fixture(scope="module")
def loaded(folder):
    """``loaded("sdxl")``: the model of foresight, with ``normalize=true``."""

    @lru_cache
    def opened(name: str):
        layout = LAYOUTS[name]
        model = open_model(
            AutoencoderConfig(
                name="autoencoder",
                checkpoint=str(folder(name)),
                revision=None,
                variant=None,
                dtype="float32",
                init="pretrained",
                init_seed=0,
                subfolder=layout.subfolder,
                resolution=layout.resolution,
                sample=False,
                seed=0,
                normalize=True,
            )
        )
        model.check_weights()
        model.load("cpu")
        return model

    return opened


@pytest.fixture(scope="module")
def latents(loaded):
    """``latents("sdxl", clip, normalize=True)`` -> the rows of foresight, ``{tap: [1, d]}``."""

    def rows(name: str, clip: Clip, normalize: bool = False) -> dict[Tap, torch.Tensor]:
        model = loaded(name)
        settings = model.config
        model.config = dataclasses.replace(settings, normalize=normalize)  # it reads the same files
        features = model.features([model.prepare(clip, "a")], [MEAN, FLAT])
        for tap, values in features.items():
            assert model.row_bytes(tap, len(clip.frames)) == values.nbytes
        model.config = settings
        return features

    return rows


@pytest.fixture(scope="module")
def network(folder):
    return lru_cache(lambda name: read(LAYOUTS[name], folder(name)))


def read(layout: Layout, folder: Path):
    kind = getattr(diffusers, layout.config["_class_name"])
    return kind.from_pretrained(folder, subfolder=layout.subfolder, low_cpu_mem_usage=False).eval()


def clip(layout: Layout, frames: int) -> Clip:
    """Return noise of 4 x 4 cells, enlarged."""
    side = layout.resolution
    cells = np.random.default_rng(frames).integers(0, 256, (frames, 4, 4, 3), dtype=np.uint8)
    return Clip(tuple(Image.fromarray(cell).resize((side, side), Image.Resampling.BICUBIC) for cell in cells))


def pixels(clip: Clip, vae) -> torch.Tensor:
    """Scale like the image processors of diffusers: ``x / 255 * 2 - 1``; RGBA if the network wants it."""
    channels = vae.config.get("input_channels", vae.config.get("in_channels"))
    frames = [np.asarray(frame.convert("RGBA" if channels == 4 else "RGB")) for frame in clip.frames]
    pixels_in = torch.tensor(np.stack(frames).tolist(), dtype=torch.float64) / 255 * 2 - 1
    return pixels_in.float().movedim(-1, 0)[None]  # [1, C, T, H, W]


def encoded(clip: Clip, vae) -> torch.Tensor:
    pixels_in = pixels(clip, vae)
    with torch.no_grad():
        try:
            out = vae.encode(pixels_in)
        except (RuntimeError, ValueError):  # a network of pictures
            out = vae.encode(pixels_in[:, :, 0])
    if hasattr(out, "latent_dist"):
        return out.latent_dist.mode()
    return out.latents if hasattr(out, "latents") else out.latent


def as_the_pipeline(layout: Layout, clip: Clip, vae) -> torch.Tensor:
    """Return the latents that the diffusion model sees, by the code of its pipeline or the formula in it."""
    z, config, pixels_in = encoded(clip, vae), vae.config, pixels(clip, vae)
    if layout.scale == "Flux2Pipeline":
        own = SimpleNamespace(vae=vae, _patchify_latents=diffusers.Flux2Pipeline._patchify_latents)
        with torch.no_grad():
            return diffusers.Flux2Pipeline._encode_vae_image(own, pixels_in[:, :, 0], None)
    if layout.scale in ("FluxKontextPipeline", "QwenImageEditPipeline"):
        own = SimpleNamespace(vae=vae, latent_channels=config.get("z_dim"))
        pixels_in = pixels_in[:, :, 0] if layout.scale == "FluxKontextPipeline" else pixels_in
        with torch.no_grad():
            return getattr(diffusers, layout.scale)._encode_vae_image(own, pixels_in, None)
    if layout.scale in ("LTXImageToVideoPipeline", "LTX2ImageToVideoPipeline"):
        kind = getattr(diffusers, layout.scale)
        return kind._normalize_latents(z, vae.latents_mean, vae.latents_std, config.scaling_factor)
    if layout.scale == "shift":  # StableDiffusion3Img2ImgPipeline.prepare_latents
        return (z - config.shift_factor) * config.scaling_factor
    if layout.scale == "factor":
        return z * layout.config.get("scaling_factor", 0.18215)
    axes = (1, -1) + (1,) * (z.ndim - 2)
    mean, std = (torch.tensor(layout.config[key]).view(axes) for key in ("latents_mean", "latents_std"))
    if layout.scale == "statistics and factor":  # StableDiffusionXLImg2ImgPipeline.prepare_latents
        return (z - mean) * 0.5 / std
    return (z - mean) / std  # WanVideoToVideoPipeline, GlmImagePipeline, MochiPipeline


def assert_rows(layout: Layout, got: dict[Tap, torch.Tensor], want: torch.Tensor) -> None:
    near = {"rtol": layout.tolerance, "atol": layout.tolerance}
    torch.testing.assert_close(got[FLAT], want.reshape(1, -1), **near)
    torch.testing.assert_close(got[MEAN], want.mean(dim=tuple(range(2, want.ndim))), **near)


@pytest.mark.parametrize("name", NAMES)
def test_pictures(latents, network, name):
    layout = LAYOUTS[name]
    pictures = clip(layout, 1)
    want = encoded(pictures, network(name))
    assert want.std() > 1e-3
    assert_rows(layout, latents(name, pictures), want)
    want = as_the_pipeline(layout, pictures, network(name))
    assert_rows(layout, latents(name, pictures, normalize=True), want)


@pytest.mark.parametrize("name", CLIPS)
def test_clips(latents, network, name):
    layout = LAYOUTS[name]
    frames = clip(layout, layout.frames)
    assert_rows(layout, latents(name, frames), encoded(frames, network(name)))
    assert_rows(layout, latents(name, frames, normalize=True), as_the_pipeline(layout, frames, network(name)))


@pytest.mark.parametrize("name", DECODED)
def test_previews_of_normalized_latents(loaded, network, name):
    """``adapt`` shows normalized rows, through the inverse scale and the decoder."""
    layout = LAYOUTS[name]
    model, frames = loaded(name), clip(layout, layout.frames)
    rows = model.features([model.prepare(frames, "a")], [FLAT])[FLAT]
    vae = network(name)
    with torch.no_grad():
        shown = vae.decode(encoded(frames, vae)).sample
    shown = shown.unsqueeze(2) if shown.ndim == 4 else shown
    want = (shown[:, :3] / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 4, 1)
    torch.testing.assert_close(model.decode(rows, layout.frames), want, rtol=0, atol=1e-4)
