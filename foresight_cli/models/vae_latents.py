"""What the autoencoders of diffusers share: frames in, out the posterior's mean or a draw from it, and back again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from foresight_cli.clip import Clip, resized
from foresight_cli.config import AutoencoderConfig, LTXVConfig
from foresight_cli.errors import ForesightError
from foresight_cli.models.decoding import decoded
from foresight_cli.models.model import Prepared, Tap
from foresight_cli.models.network import checkpoint_of, network_recipe
from foresight_cli.pooling import pool

if TYPE_CHECKING:
    import torch


class VAELatents:
    """A :class:`LatentModel` over an autoencoder, without what depends on which one it is: loading and preparing."""

    pads = False

    def __init__(self, config: LTXVConfig | AutoencoderConfig) -> None:
        self.config = config
        self.checkpoint = checkpoint_of(config, config.subfolder, library="diffusers")
        self._vae: Any = None

    def recipe(self, layer: str) -> dict[str, Any]:
        """See :class:`LatentModel`."""
        config = self.config
        return {
            **network_recipe(config, self.checkpoint),
            "subfolder": config.subfolder,
            "resolution": config.resolution,
            "resize": "pil-bicubic",
            "posterior": f"sample, seed {config.seed}" if config.sample else "mean",
            "normalize": config.normalize,
        }

    def identity(self, *, reach_hub: bool) -> dict[str, Any]:
        """See :class:`LatentModel`."""
        return self.checkpoint.identity(reach_hub=reach_hub)

    def check_files(self) -> None:
        """There are no such files."""

    def all_layers(self) -> tuple[str, ...]:
        """See :class:`LatentModel`."""
        return ("final",)

    def features(self, batch: Sequence[Prepared], taps: Sequence[Tap]) -> dict[Tap, torch.Tensor]:
        """See :class:`LatentModel`."""
        import torch

        with torch.inference_mode():
            latents = self.encode(batch)
            return {tap: pool(latents, tap.pooling).cpu() for tap in taps}

    def encode(self, batch: Sequence[Prepared]) -> torch.Tensor:
        """The latents ``[b, C, h, w]`` or ``[b, C, T, h, w]``: the posterior's mean, or a draw with ``sample=true``."""
        import torch

        vae = self._vae
        assert vae is not None, "load() first"
        pixels = torch.stack([p.tensors["pixels"] for p in batch]).to(vae.device, vae.dtype)
        latents, posterior = encoded(vae, pixels)
        if self.config.sample:
            drawn = [noise(self.config.seed, p.sample_id, latents.shape[1:]) for p in batch]
            latents = posterior.mean + posterior.std * torch.stack(drawn).to(latents)
        return normalized(latents, vae) if self.config.normalize else latents

    def latent_shape(self, frames: int) -> tuple[int, ...]:
        """``(C, h, w)`` or ``(C, T, h, w)`` of a sample of so many frames. Reads config files alone."""
        raise NotImplementedError

    def decode(self, rows: torch.Tensor, frames: int) -> torch.Tensor:
        """The pictures that the network makes of latents, ``[n, frames, r, r, 3]`` in [0, 1], float32 on the CPU.

        Args:
            rows: ``[n, d]``, as :meth:`features` gives them for ``flat``: true ones, or an adapter's.
            frames: of each sample; 1 for a still picture.

        Raises:
            ForesightError: the rows are not of the size of so many frames, or the network cannot decode them.
        """
        vae, side = self._vae, self.config.resolution
        assert vae is not None, "load() first"
        shape = self.latent_shape(frames)
        if rows.shape[1] != prod(shape):
            raise ForesightError(
                f"{rows.shape[1]} values are no latents of {frames} frames of {side} x {side} pixels: "
                f"{type(vae).__name__} has {' x '.join(map(str, shape))} of them. Give rows of pooling=flat"
            )
        latents = rows.float().reshape(-1, *shape).to(vae.device)
        return decoded(vae, denormalized(latents, vae) if self.config.normalize else latents, frames, side)


def square_pixels(clip: Clip, side: int) -> torch.Tensor:
    """The frames as squares of ``side``, in [-1, 1], ``[3, T, side, side]``."""
    import torch

    square = np.stack([np.asarray(resized(frame, side)) for frame in clip.frames])
    return torch.from_numpy(square.astype(np.float32) / 127.5 - 1).permute(3, 0, 1, 2)


def encoded(vae: Any, pixels: torch.Tensor) -> tuple[torch.Tensor, Any]:
    """The latents that ``vae`` gives with no draw, and the posterior; None where it has none to draw from."""
    out = vae.encode(pixels)
    posterior = getattr(out, "latent_dist", None)
    if posterior is not None:
        return posterior.mode(), posterior if hasattr(posterior, "std") else None
    # the names of AutoencoderTiny and VQModel, and of AutoencoderDC
    return (out.latents if hasattr(out, "latents") else out.latent), None


def noise(seed: int, sample_id: str, shape: Sequence[int]) -> torch.Tensor:
    """Standard normal noise that depends on the seed and the sample alone, not on its batch mates."""
    import torch

    digest = hashlib.sha256(f"{seed}/{sample_id}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    return torch.randn(tuple(shape), generator=generator)


def statistics(vae: Any) -> tuple[Any, Any] | None:
    """``latents_mean`` and ``latents_std`` of a checkpoint, from its config or its weights; None where it has none."""
    buffers = dict(vae.named_buffers())
    mean, std = (
        vae.config.get(name) if vae.config.get(name) is not None else buffers.get(name)
        for name in ("latents_mean", "latents_std")
    )
    return None if mean is None or std is None else (mean, std)


def normalized(latents: torch.Tensor, vae: Any) -> torch.Tensor:
    """``latents`` ``[b, C, ...]`` as the checkpoint's diffusion model sees them.

    ``(z - latents_mean) / latents_std * scaling_factor``, or ``(z - shift_factor) * scaling_factor`` where the
    checkpoint has no mean and deviation of its channels. What its config leaves out changes nothing.

    Source: the pipelines of diffusers (LTX, Mochi, Stable Diffusion XL and 3), which invert this before they decode.
    """
    import torch

    if found := statistics(vae):
        axes = (1, -1) + (1,) * (latents.ndim - 2)
        mean, std = (torch.as_tensor(values).view(axes).to(latents) for values in found)
        latents = (latents - mean) / std
    elif (shift := vae.config.get("shift_factor")) is not None:
        latents = latents - shift
    scale = vae.config.get("scaling_factor")
    return latents if scale is None else latents * scale


def denormalized(latents: torch.Tensor, vae: Any) -> torch.Tensor:
    """``latents`` ``[b, C, ...]`` as the decoder of the checkpoint takes them: :func:`normalized`, undone."""
    import torch

    scale = vae.config.get("scaling_factor")
    latents = latents if scale is None else latents / scale
    if found := statistics(vae):
        axes = (1, -1) + (1,) * (latents.ndim - 2)
        mean, std = (torch.as_tensor(values).view(axes).to(latents) for values in found)
        return latents * std + mean
    shift = vae.config.get("shift_factor")
    return latents if shift is None else latents + shift
