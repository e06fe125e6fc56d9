"""Decoding latents to pictures with an autoencoder of diffusers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from foresight_cli.errors import ForesightError, first_line

if TYPE_CHECKING:
    import torch

SEED = 0
"""Seed of the noise that some decoders add: each picture is decoded alone after it, so the result never changes."""


def decoded(vae: Any, latents: torch.Tensor, frames: int, side: int) -> torch.Tensor:
    """Decode ``latents`` with ``vae`` to pictures ``[n, frames, side, side, 3]`` in [0, 1], float32 on the CPU.

    Args:
        vae: the network, loaded.
        latents: ``[n, C, h, w]`` or ``[n, C, T, h, w]``, as its ``encode`` returns them.
        frames: of each sample; 1 for a still picture.
        side: pixels along a side of each frame.

    Raises:
        ForesightError: the network has no decoder, cannot run it, or makes something other than such pictures.

    Source: the pipelines of diffusers, which decode to [-1, 1] and clamp.
    """
    import torch

    name = type(vae).__name__
    if not hasattr(vae, "decode"):
        raise ForesightError(f"{name} has no decoder, and its latents cannot be shown as pictures")
    pictures = [torch.empty(0, frames, side, side, 3)]
    graphics = [vae.device] if vae.device.type == "cuda" else []
    with torch.inference_mode(), torch.random.fork_rng(devices=graphics):
        for latent in latents.to(vae.device, vae.dtype).split(1):  # one at a time: a clip's pixels fill memory fast
            torch.manual_seed(SEED)
            try:
                out = vae.decode(latent, **_arguments(vae, name))
            except Exception as error:  # out of memory, or any error for latents that it does not take
                raise ForesightError(
                    f"{name} cannot decode latents of the shape {list(latent.shape)}: {first_line(error)}"
                ) from error
            pictures.append(_in_range(getattr(out, "sample", out), name, frames, side))
    return torch.cat(pictures)


def _arguments(vae: Any, name: str) -> dict[str, Any]:
    """Return the further arguments that ``decode`` needs for one sample."""
    import torch

    if vae.config.get("timestep_conditioning"):
        # such a decoder also takes noise away; at time 0, the default of LTX's pipeline, there is none in the latents
        return {"temb": torch.zeros(1, device=vae.device, dtype=vae.dtype)}
    if name == "AutoencoderKLTemporalDecoder":
        return {"num_frames": 1}  # it encodes single pictures and may decode several as a clip; these are single
    return {}


def _in_range(pixels: torch.Tensor, name: str, frames: int, side: int) -> torch.Tensor:
    """Convert ``[1, 3, H, W]`` or ``[1, 3, T, H, W]`` in [-1, 1] to ``[1, T, H, W, 3]`` in [0, 1], without opacity."""
    pixels = pixels.unsqueeze(2) if pixels.ndim == 4 else pixels
    pixels = pixels[:, :3] if pixels.shape[1] == 4 else pixels
    if tuple(pixels.shape) != (1, 3, frames, side, side):
        wanted = [1, 3, frames, side, side]
        raise ForesightError(f"{name} decodes to the shape {list(pixels.shape)}, where {wanted} went in")
    narrow = pixels.element_size() < 4
    pixels = pixels.float().cpu()
    if not pixels.isfinite().all():
        wider = "Extract with model.dtype=float32"
        advice = wider if narrow else "Its latents, or an adapter's, are too large for it"
        raise ForesightError(f"{name} decodes to pixels that are not finite. {advice}")
    return (pixels / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 4, 1)
