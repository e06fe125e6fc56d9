"""``model=ltxv``: the latents of LTX-Video's autoencoder, ``[128, T, H / 32, W / 32]`` of a picture or clip."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from foresight_cli.config import LTXVConfig
from foresight_cli.config.checks import multiple
from foresight_cli.data.clip import Clip
from foresight_cli.errors import ForesightError
from foresight_cli.models.harmless_weights import AUTOENCODER
from foresight_cli.models.ltxv_outline import LTXVOutline
from foresight_cli.models.model import Prepared, Tap
from foresight_cli.models.network import ITEMSIZE, foresee_diffusers, load_diffusers
from foresight_cli.models.vae_latents import VAELatents, square_pixels

WHAT = "LTX-Video's autoencoder"


class LTXV(VAELatents):
    """``AutoencoderKLLTXVideo``: a still picture is a clip of one frame, scaled to [-1, 1]."""

    def __init__(self, config: LTXVConfig) -> None:
        super().__init__(config)
        self._outline = LTXVOutline(self.checkpoint)

    def check_layers(self, layers: Sequence[str]) -> None:
        """Check the checkpoint and the resolution; the only layer is ``final``, which the config has checked.

        Raises:
            ForesightError: the checkpoint holds another autoencoder than LTX-Video's.
            UsageError: a resolution that is no multiple of the pixels of one latent.
        """
        self._outline.check_class()
        multiple("model.resolution", self.config.resolution, self._outline.sizes.side_factor)

    def check_weights(self) -> None:
        """See :class:`LatentModel`."""
        from diffusers import AutoencoderKLLTXVideo

        foresee_diffusers(AutoencoderKLLTXVideo, self.checkpoint, what=WHAT, harmless=AUTOENCODER)

    def row_bytes(self, tap: Tap, frames: int) -> int | None:
        """See :class:`LatentModel`."""
        shape = self.latent_shape(frames)
        return 4 * shape[0] if tap.pooling == "channel_mean" else ITEMSIZE[self.config.dtype] * prod(shape)

    def latent_shape(self, frames: int) -> tuple[int, ...]:
        """See :meth:`VAELatents.latent_shape`."""
        sizes = self._outline.sizes
        side = self.config.resolution // sizes.side_factor
        return sizes.channels, 1 + (frames - 1) // sizes.frame_factor, side, side

    def load(self, device: str) -> None:
        """Read the autoencoder through ``from_pretrained``."""
        from diffusers import AutoencoderKLLTXVideo

        self.check_layers(())
        self._vae = load_diffusers(
            AutoencoderKLLTXVideo, self.config, self.checkpoint, device, what=WHAT, harmless=AUTOENCODER
        )

    def prepare(self, clip: Clip, sample_id: str) -> Prepared:
        """Return the frames as squares of ``model.resolution``, in [-1, 1], as ``[3, T, r, r]``.

        Raises:
            ForesightError: the network would leave out some of this number of frames.
        """
        frames, factor = len(clip.frames), self._outline.sizes.frame_factor
        if frames < 1 or (frames - 1) % factor:
            raise ForesightError(f"{sample_id!r} has {frames} frames; LTX-Video's autoencoder takes 1 + {factor}k")
        pixels = square_pixels(clip, self.config.resolution)
        return Prepared(sample_id, {"pixels": pixels}, (frames,), length=frames)
