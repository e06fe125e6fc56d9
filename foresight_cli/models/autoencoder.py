"""``model=autoencoder``: the latents of any image or video autoencoder of diffusers, by the class in its config."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from foresight_cli.config import AutoencoderConfig
from foresight_cli.config.checks import multiple
from foresight_cli.data.clip import Clip
from foresight_cli.errors import ForesightError, UsageError
from foresight_cli.models.autoencoder_outline import Outline
from foresight_cli.models.harmless_weights import AUTOENCODER
from foresight_cli.models.model import Prepared, Tap
from foresight_cli.models.network import foresee_diffusers, load_diffusers
from foresight_cli.models.vae_latents import VAELatents, encoded, patched_shape, square_pixels

if TYPE_CHECKING:
    import torch


class Autoencoder(VAELatents):
    """Latents ``[C, h, w]`` of a network that takes pictures, ``[C, T, h, w]`` of one that takes clips."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__(config)
        self._outline = Outline(self.checkpoint, config.dtype)
        self._taken_in_whole = {1}

    def check_layers(self, layers: Sequence[str]) -> None:
        """Check the settings against the network; the only layer is ``final``, which the config has checked.

        Raises:
            UsageError: a resolution that the network does not take, or a draw or scale that it does not have.
        """
        outline, config = self._outline, self.config
        multiple("model.resolution", config.resolution, outline.factor)
        output = outline.output(outline.usual_frames or 1, config.resolution)
        if config.normalize:
            multiple("model.resolution", config.resolution, outline.factor * max(output.patch))
        if config.sample and not output.draws:
            raise UsageError(
                f"model.sample=true: {outline.name} has no posterior to draw from. Leave model.sample= out"
            )
        if config.normalize and output.unscaled:
            raise UsageError(
                f"model.normalize=true: {outline.name} has no scale, as {output.unscaled}. Leave model.normalize= out"
            )

    def check_weights(self) -> None:
        """See :class:`LatentModel`."""
        foresee_diffusers(self._outline.network, self.checkpoint, what=self._outline.name, harmless=AUTOENCODER)

    def row_bytes(self, tap: Tap, frames: int) -> int | None:
        """See :class:`LatentModel`."""
        output = self._outline.output(frames, self.config.resolution)
        if tap.pooling == "channel_mean":
            return 4 * self.latent_shape(frames)[0]
        stays_exact = self.config.dtype != "float32" and getattr(self._outline.network, "_keep_in_fp32_modules", None)
        return None if stays_exact else output.bytes  # only a run shows which of its layers keep float32

    def latent_shape(self, frames: int) -> tuple[int, ...]:
        """See :meth:`VAELatents.latent_shape`; raises :class:`ForesightError` where :meth:`Outline.output` does."""
        output = self._outline.output(frames, self.config.resolution)
        return patched_shape(output.shape, output.patch) if self.config.normalize else output.shape

    def load(self, device: str) -> None:
        """Read the class that the checkpoint names through its ``from_pretrained``."""
        self.check_layers(())
        network = self._outline.network
        self._vae = load_diffusers(
            network, self.config, self.checkpoint, device, what=self._outline.name, harmless=AUTOENCODER
        )

    def prepare(self, clip: Clip, sample_id: str) -> Prepared:
        """Return the frames as squares of ``model.resolution``, in [-1, 1]: ``[3, r, r]``, clips as ``[3, T, r, r]``.

        Raises:
            ForesightError: the network does not take this number of frames.
        """
        import torch

        frames = len(clip.frames)
        try:
            self._outline.output(frames, self.config.resolution)
        except ForesightError as error:
            raise ForesightError(f"{sample_id!r}: {error}") from None
        pixels = square_pixels(clip, self.config.resolution)
        if self._outline.channels == 4:
            pixels = torch.cat([pixels, torch.ones_like(pixels[:1])])  # opaque, as the pipelines make every picture
        if not self._outline.takes_clips:
            pixels = pixels[:, 0]
        return Prepared(sample_id, {"pixels": pixels}, (frames,), length=frames)

    def encode(self, batch: Sequence[Prepared]) -> torch.Tensor:
        """See :meth:`VAELatents.encode`.

        Raises:
            ForesightError: the network leaves out the last frames, as many do with all but 1 + 4k or 1 + 8k of them, or
                torch cannot run it in this dtype on this device.
        """
        import torch

        outline, frames = self._outline, batch[0].length
        try:
            if frames not in self._taken_in_whole:
                self._refuse_left_out(batch[0])
                self._taken_in_whole.add(frames)
            if outline.output(frames, self.config.resolution).batches:
                return super().encode(batch)
            return torch.cat([super(Autoencoder, self).encode([sample]) for sample in batch])
        except NotImplementedError as error:
            where = f"in {self.config.dtype} on {self._vae.device}"
            raise ForesightError(f"{outline.name} does not run {where} ({error}). Add model.dtype=float32") from error

    def _refuse_left_out(self, sample: Prepared) -> None:
        """Refuse ``sample`` if its latents do not change with its last frames: the network leaves those out."""
        import torch

        pixels = sample.tensors["pixels"][None].to(self._vae.device, self._vae.dtype, copy=True)
        before, frames = encoded(self._vae, pixels)[0], sample.length
        for left_out in range(frames):
            pixels[:, :, frames - 1 - left_out] *= -1  # no pixel of 8 bits is 0 here, so each one changes
            if not torch.equal(encoded(self._vae, pixels)[0], before):
                break
        if left_out:
            raise ForesightError(
                f"{sample.sample_id!r}: {self._outline.name} leaves out the last {left_out} of {frames} frames. "
                f"Give it clips of {frames - left_out}"
            )
