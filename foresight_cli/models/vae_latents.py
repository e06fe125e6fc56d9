"""The part that all autoencoders of diffusers share: encode frames to the posterior's mean or a draw, and decode."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from foresight_cli.config import AutoencoderConfig, LTXVConfig
from foresight_cli.data.clip import Clip, resized
from foresight_cli.errors import ForesightError
from foresight_cli.models.decoding import decoded
from foresight_cli.models.model import Prepared, Tap
from foresight_cli.models.network import checkpoint_of, network_recipe
from foresight_cli.models.pooling import pool
from foresight_cli.models.size import Size, convolution_activations, weight_count

if TYPE_CHECKING:
    import torch


class VAELatents:
    """A :class:`LatentModel` over an autoencoder; subclasses add loading and preparing, which depend on its class."""

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
        """See :class:`LatentModel`. Latents that earlier versions scaled have another key."""
        identity = self.checkpoint.identity(reach_hub=reach_hub)
        if self.config.normalize and identity:
            config = self.checkpoint.config
            if scale_unread(str(config.get("_class_name")), config):
                identity["scaling_factor"] = "unread"
        return identity

    def check_files(self, *, clips: bool = False) -> None:
        """Check nothing: there are no such files."""

    def size(self, frames: int) -> Size:
        """See :class:`LatentModel`."""
        activations = convolution_activations(self.checkpoint.config, self.config.resolution, frames)
        return Size(weight_count(self.checkpoint), activations)

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
        """Return latents ``[b, C, h, w]`` or ``[b, C, T, h, w]``: posterior means, or draws with ``sample=true``."""
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
        """Return ``(C, h, w)`` or ``(C, T, h, w)`` of a sample of ``frames`` frames. Reads only config files."""
        raise NotImplementedError

    def decode(self, rows: torch.Tensor, frames: int) -> torch.Tensor:
        """Decode latents to pictures ``[n, frames, r, r, 3]`` in [0, 1], float32 on the CPU.

        Args:
            rows: ``[n, d]``, as :meth:`features` returns them for ``flat``, or as an adapter predicts them.
            frames: of each sample; 1 for a still picture.

        Raises:
            ForesightError: the rows do not have the size of ``frames`` frames, or the network cannot decode them.
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
    """Return the frames as squares of ``side``, in [-1, 1], ``[3, T, side, side]``."""
    import torch

    square = np.stack([np.asarray(resized(frame, side)) for frame in clip.frames])
    return torch.from_numpy(square.astype(np.float32) / 127.5 - 1).permute(3, 0, 1, 2)


def encoded(vae: Any, pixels: torch.Tensor) -> tuple[torch.Tensor, Any]:
    """Encode with ``vae``: the latents without a draw, and the posterior; None if there is none to draw from."""
    out = vae.encode(pixels)
    posterior = getattr(out, "latent_dist", None)
    if posterior is not None:
        return posterior.mode(), posterior if hasattr(posterior, "std") else None
    # the names of AutoencoderTiny and VQModel, and of AutoencoderDC
    return (out.latents if hasattr(out, "latents") else out.latent), None


def noise(seed: int, sample_id: str, shape: Sequence[int]) -> torch.Tensor:
    """Draw standard normal noise that depends only on the seed and the sample, not on the rest of the batch."""
    import torch

    digest = hashlib.sha256(f"{seed}/{sample_id}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    return torch.randn(tuple(shape), generator=generator)


def statistics(vae: Any) -> tuple[Any, Any] | None:
    """Return ``latents_mean`` and ``latents_std`` from the config or the weights; None if the checkpoint has none."""
    buffers = dict(vae.named_buffers())
    mean, std = (
        vae.config.get(name) if vae.config.get(name) is not None else buffers.get(name)
        for name in ("latents_mean", "latents_std")
    )
    return None if mean is None or std is None else (mean, std)


def patch(vae: Any) -> tuple[int, int]:
    """Return height and width of the block of latents that the diffusion model sees as one: 2, 2 in FLUX.2, else 1, 1.

    Its statistics are those of a batch norm over the ``C * 4`` channels of such a patch.
    """
    if getattr(vae, "bn", None) is None:
        return 1, 1
    height, width = vae.config.patch_size
    return int(height), int(width)


def patched_shape(shape: tuple[int, ...], size: tuple[int, int]) -> tuple[int, ...]:
    """Return the shape of latents ``(C, h, w)`` or ``(C, T, h, w)`` with patches of ``size`` packed into channels."""
    height, width = size
    return (shape[0] * height * width, *shape[1:-2], shape[-2] // height, shape[-1] // width)


def normalized(latents: torch.Tensor, vae: Any) -> torch.Tensor:
    """Normalize ``latents`` ``[b, C, ...]`` as the checkpoint's diffusion model sees them.

    ``(z - latents_mean) / latents_std * scaling_factor``, or ``(z - shift_factor) * scaling_factor`` where the
    checkpoint has no mean and deviation of its channels. A value that its config leaves out changes nothing. FLUX.2
    gives ``[b, 4C, h / 2, w / 2]``, see :func:`patch`.

    Source: the pipelines of diffusers (LTX, Mochi, Stable Diffusion XL and 3, FLUX.2), which invert this before they
    decode.
    """
    size = patch(vae)
    if size != (1, 1):
        batch, channels, height, width = latents.shape
        grid = latents.view(batch, channels, height // size[0], size[0], width // size[1], size[1])
        mean, std = _batch_statistics(vae, latents)
        packed = grid.permute(0, 1, 3, 5, 2, 4).reshape(batch, *patched_shape((channels, height, width), size))
        return (packed - mean) / std
    if mean_and_std := statistics(vae):
        mean, std = _along_channels(mean_and_std, latents)
        latents = (latents - mean) / std
    elif (shift := vae.config.get("shift_factor")) is not None:
        latents = latents - shift
    return latents * _factor(vae)


def denormalized(latents: torch.Tensor, vae: Any) -> torch.Tensor:
    """Undo :func:`normalized`: return ``latents`` ``[b, C, ...]`` as the checkpoint's decoder takes them."""
    size = patch(vae)
    if size != (1, 1):
        mean, std = _batch_statistics(vae, latents)
        batch, channels, height, width = latents.shape
        grid = (latents * std + mean).view(batch, channels // prod(size), *size, height, width)
        return grid.permute(0, 1, 4, 2, 5, 3).reshape(batch, -1, height * size[0], width * size[1])
    latents = latents / _factor(vae)
    if mean_and_std := statistics(vae):
        mean, std = _along_channels(mean_and_std, latents)
        return latents * std + mean
    shift = vae.config.get("shift_factor")
    return latents if shift is None else latents + shift


def scale_unread(name: str, config: Mapping[str, Any]) -> bool:
    """Check whether the pipeline of an autoencoder ignores the ``scaling_factor`` in its config.

    An ``AutoencoderKL`` with a mean and a deviation of its channels is one of two: that of Stable Diffusion XL, whose
    pipelines want 4 channels and also scale; or that of GLM-Image, whose config has the class's default and whose
    pipeline does not scale.

    Args:
        name: of its class.
        config: content of its ``config.json``.
    """
    has_statistics = all(config.get(key) is not None for key in ("latents_mean", "latents_std"))
    return name == "AutoencoderKL" and config.get("latent_channels", 4) != 4 and has_statistics


def _factor(vae: Any) -> float:
    """Return ``scaling_factor``; 1 if it has none, or if its pipeline does not read it."""
    scale = vae.config.get("scaling_factor")
    return 1.0 if scale is None or scale_unread(type(vae).__name__, vae.config) else float(scale)


def _along_channels(values: tuple[Any, Any], latents: torch.Tensor) -> list[torch.Tensor]:
    import torch

    axes = (1, -1) + (1,) * (latents.ndim - 2)
    return [torch.as_tensor(numbers).view(axes).to(latents) for numbers in values]


def _batch_statistics(vae: Any, latents: torch.Tensor) -> list[torch.Tensor]:
    """Return mean and deviation of FLUX.2's batch norm."""
    deviation = (vae.bn.running_var + vae.config.batch_norm_eps).sqrt()
    return _along_channels((vae.bn.running_mean, deviation), latents)
