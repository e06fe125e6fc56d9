"""``model=ltxv``: the latents of LTX-Video's autoencoder, ``[128, T, H / 32, W / 32]`` of a picture or clip."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from foresight_cli.config import LTXVConfig
from foresight_cli.models.checkpoint import Checkpoint
from foresight_cli.models.model import Prepared, Tap
from foresight_cli.pooling import pool

if TYPE_CHECKING:
    import torch
    from diffusers import AutoencoderKLLTXVideo


class LTXV:
    """``AutoencoderKLLTXVideo``: a still picture is a clip of one frame, scaled to [-1, 1]."""

    def __init__(self, config: LTXVConfig) -> None:
        self.config = config
        self.checkpoint = Checkpoint(config.checkpoint, config.revision, config.subfolder)
        self._vae: AutoencoderKLLTXVideo | None = None

    def recipe(self, layer: str) -> dict[str, Any]:
        """See :class:`LatentModel`."""
        config = self.config
        return {
            "name": "ltxv",
            **self.checkpoint.recipe(),
            "subfolder": config.subfolder,
            "dtype": config.dtype,
            "resolution": config.resolution,
            "resize": "pil-bicubic",
            "posterior": f"sample, seed {config.seed}" if config.sample else "mean",
            "normalize": config.normalize,
        }

    def identity(self, *, reach_hub: bool) -> dict[str, Any]:
        """See :class:`LatentModel`."""
        return self.checkpoint.identity(reach_hub=reach_hub)

    def check_layers(self, layers: Sequence[str]) -> None:
        """There is only ``final``, which the config has checked."""

    def load(self, device: str) -> None:
        """Read the autoencoder through ``from_pretrained``."""
        import torch
        from diffusers import AutoencoderKLLTXVideo

        folder = self.checkpoint.fetch()
        with self.checkpoint.reading():
            vae, report = AutoencoderKLLTXVideo.from_pretrained(
                folder,
                subfolder=self.config.subfolder,
                torch_dtype=getattr(torch, self.config.dtype),
                use_safetensors=True,
                low_cpu_mem_usage=False,  # the other way wants accelerate
                output_loading_info=True,
            )
        self.checkpoint.refuse_missing(report["missing_keys"], "LTX-Video's autoencoder")
        self._vae = vae.to(device).eval().requires_grad_(False)

    def prepare(self, image: Image.Image, sample_id: str) -> Prepared:
        """The picture at the configured square, in [-1, 1], as ``[3, 1, r, r]``."""
        import torch

        side = self.config.resolution
        if image.size != (side, side):
            image = image.resize((side, side), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.array(image, dtype=np.float32) / 127.5 - 1)
        return Prepared(sample_id, {"pixels": pixels.permute(2, 0, 1)[:, None]}, ())

    def features(self, batch: Sequence[Prepared], taps: Sequence[Tap]) -> dict[Tap, torch.Tensor]:
        """See :class:`LatentModel`."""
        import torch

        with torch.inference_mode():
            latents = self.encode(batch)
            return {tap: pool(latents, tap.pooling).cpu() for tap in taps}

    def encode(self, batch: Sequence[Prepared]) -> torch.Tensor:
        """The latents ``[b, 128, T, h, w]``: the posterior's mean, or a draw from it with ``sample=true``."""
        import torch

        vae = self._vae
        assert vae is not None, "load() first"
        pixels = torch.stack([p.tensors["pixels"] for p in batch]).to(vae.device, vae.dtype)
        posterior = vae.encode(pixels).latent_dist
        latents: torch.Tensor = posterior.mode()
        if self.config.sample:
            noise = torch.stack([self._noise(p.sample_id, latents.shape[1:]) for p in batch])
            latents = posterior.mean + posterior.std * noise.to(latents)
        if self.config.normalize:
            mean, std = (v.view(1, -1, 1, 1, 1).to(latents) for v in (vae.latents_mean, vae.latents_std))
            latents = (latents - mean) / std
        return latents

    def _noise(self, sample_id: str, shape: Sequence[int]) -> torch.Tensor:
        """Standard normal noise that depends on the seed and the sample alone, not on its batch mates."""
        import torch

        digest = hashlib.sha256(f"{self.config.seed}/{sample_id}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        return torch.randn(tuple(shape), generator=generator)
