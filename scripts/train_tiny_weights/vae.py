"""Training of the tiny LTX-Video VAE: it learns to reconstruct crops of the drawings, then whole drawings."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLLTXVideo
from torch import Tensor, nn

from foresight_cli.data.shapes import Shapes

Log = Callable[[str], None]

CHANNELS = (16, 32, 64, 64)
STAGES = ((64, 16, 1700), (96, 8, 400), (256, 2, 300))
"""(pixels of a crop, crops per step, steps), one after the other."""

LEARNING_RATE, CLIP, KL = 1.5e-4, 0.1, 1e-6
POOL_SEED, POOL_PER_CATEGORY, POOL_STEPS = 1000, 100, 1000


def build(seed: int = 0) -> AutoencoderKLLTXVideo:
    """Return an untrained VAE of 3.6M parameters: 128 latent channels, 32x32 pixels per latent."""
    torch.manual_seed(seed)
    ones = (1,) * (len(CHANNELS) + 1)
    vae = AutoencoderKLLTXVideo(
        latent_channels=128,
        block_out_channels=CHANNELS,
        decoder_block_out_channels=CHANNELS,
        layers_per_block=ones,
        decoder_layers_per_block=ones,
        patch_size=4,
        patch_size_t=1,
    )
    for module in vae.modules():
        if isinstance(module, nn.Conv3d):
            _pass_through(module)
    with torch.no_grad():
        vae.encoder.conv_out.conv.bias[-1] = -6.0  # the shared log variance: start nearly without noise
    return vae


def _pass_through(conv: nn.Conv3d) -> None:
    """Initialise with an orthogonal map at the centre plus noise; from the default init only the mean is learnt."""
    out, width, frames, height, _ = conv.weight.shape
    centre = nn.init.orthogonal_(torch.empty(out, width)) / frames
    with torch.no_grad():
        conv.weight.mul_(0.3)
        conv.weight[:, :, :, height // 2, height // 2] += centre[:, :, None]
        if conv.bias is not None:
            conv.bias.zero_()


def train(folder: Path, log: Log) -> None:
    """Train from scratch and save into ``folder``."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    vae = build()
    optimiser = torch.optim.Adam(vae.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99))
    total, start, margins = sum(stage[2] for stage in STAGES), time.monotonic(), []
    for step, crops in enumerate(_batches(rng)):
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * min((step + 1) / 150, 0.03 + 0.97 * _cosine(step / total))
        loss, error = _losses(vae, crops)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(vae.parameters(), CLIP)
        optimiser.step()
        spread = (crops - crops.mean((-1, -2), keepdim=True)).square().mean().item()
        margins.append((error, spread))
        if (step + 1) % 100 == 0:
            rebuilt, mean = np.mean(margins, axis=0)
            margins.clear()
            seconds = time.monotonic() - start
            log(
                f"vae step {step + 1}/{total}, crops of {crops.shape[-1]}: "
                f"{10 * math.log10(mean / rebuilt):.2f} dB over their mean colour, {seconds:.0f} s"
            )
    save(vae, folder)
    log(f"vae trained in {time.monotonic() - start:.0f} s")


def save(vae: AutoencoderKLLTXVideo, folder: Path) -> None:
    """Set the latents' per-channel mean and standard deviation from 256 drawings, and write bfloat16 files."""
    mean, std = _statistics(vae)
    vae.latents_mean.copy_(mean)
    vae.latents_std.copy_(std)
    half = AutoencoderKLLTXVideo.from_config(vae.config)
    half.load_state_dict(vae.state_dict())
    half.to(torch.bfloat16).save_pretrained(folder)
    for file in folder.glob("*.safetensors"):
        file.chmod(0o644)  # safetensors writes 0600


def _losses(vae: AutoencoderKLLTXVideo, crops: Tensor) -> tuple[Tensor, float]:
    posterior = vae.encode(crops).latent_dist
    error = (vae.decode(posterior.sample()).sample - crops).square().mean()
    divergence = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean()
    return error + KL * divergence, error.item()


def _batches(rng: np.random.Generator) -> Iterator[Tensor]:
    step = 0
    for pixels, count, steps in STAGES:
        for _ in range(steps):
            if step % POOL_STEPS == 0:
                shapes = Shapes(per_category=POOL_PER_CATEGORY, seed=POOL_SEED + step // POOL_STEPS)
                pool = [np.asarray(shapes.image(i)) for i in range(len(shapes.samples))]
            picks = rng.integers(len(pool), size=count)
            yield to_tensor([_crop(pool[i], shapes.samples[i].attributes, pixels, rng) for i in picks])
            step += 1


def _crop(picture: np.ndarray, at: dict[str, float], pixels: int, rng: np.random.Generator) -> np.ndarray:
    """Return a crop whose centre is, in four of five cases, within half its width of the object's centre."""
    room = picture.shape[0] - pixels
    corner = rng.integers(room + 1, size=2)
    if rng.random() < 0.8:
        centre = np.array([at["y"], at["x"]]) * picture.shape[0] + rng.uniform(-0.5, 0.5, 2) * pixels
        corner = np.clip(np.rint(centre - pixels / 2).astype(int), 0, room)
    return picture[corner[0] : corner[0] + pixels, corner[1] : corner[1] + pixels]


def to_tensor(pictures: list[np.ndarray]) -> Tensor:
    """Convert pictures to ``[n, 3, 1, height, width]`` in [-1, 1]: clips of one frame."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)[:, :, None].float() / 127.5 - 1


@torch.no_grad()
def encode(vae: AutoencoderKLLTXVideo, shapes: Shapes) -> Tensor:
    """Return the posterior means ``[n, 128, 8, 8]`` of all drawings."""
    chunks = [range(i, min(i + 16, len(shapes.samples))) for i in range(0, len(shapes.samples), 16)]
    return torch.cat(
        [vae.encode(to_tensor([np.asarray(shapes.image(i)) for i in c])).latent_dist.mean[:, :, 0] for c in chunks]
    )


def _statistics(vae: AutoencoderKLLTXVideo) -> tuple[Tensor, Tensor]:
    latents = encode(vae, Shapes(per_category=32, seed=POOL_SEED))
    return latents.mean((0, 2, 3)), latents.std((0, 2, 3))


def _cosine(progress: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * progress))
