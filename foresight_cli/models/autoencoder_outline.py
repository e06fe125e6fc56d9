"""Inputs and outputs of an autoencoder of diffusers, worked out from its ``config.json`` before a weight is read."""

from __future__ import annotations

from functools import cached_property
from math import prod
from threading import Lock
from typing import Any, NamedTuple

from foresight_cli.errors import ForesightError, first_line
from foresight_cli.models.checkpoint import Checkpoint
from foresight_cli.models.single_file import foreign_class
from foresight_cli.models.vae_latents import encoded, patch, statistics

SIDES = (256, 512)  # pictures of these sizes show how many pixels one latent covers
FRAMES = (1, 9)  # a video autoencoder is tried with a still picture, then with the shortest clip of 1 + 8k frames
NEAR = 16  # how many more or fewer frames are tried, to suggest a number that works


class Output(NamedTuple):
    """The latents that the network gives for one sample.

    Attributes:
        shape: of the latents, ``[C, h, w]`` or ``[C, T, h, w]``.
        itemsize: bytes of one number.
        draws: whether there is a posterior to draw from.
        unscaled: why the latents cannot be normalized; empty where they can.
        batches: whether it takes several samples at once.
        patch: height and width in latents of the block that normalizing packs into one, with more channels.
    """

    shape: tuple[int, ...]
    itemsize: int
    draws: bool
    unscaled: str
    batches: bool
    patch: tuple[int, int]

    @property
    def bytes(self) -> int:
        """Bytes of all latents of the sample."""
        return self.itemsize * prod(self.shape)


class CannotEncode(Exception):
    """The network does not take pixels of this shape; the reason is the network's own, in one line."""


class Outline:
    """An autoencoder run on torch's ``meta`` device, where tensors have shapes and no numbers: no weight is needed.

    So the shapes are those of the network itself, whatever its class calls the factors it compresses by.

    Attributes:
        checkpoint: where its ``config.json`` is.
        dtype: of its computation.
    """

    def __init__(self, checkpoint: Checkpoint, dtype: str) -> None:
        self.checkpoint = checkpoint
        self.dtype = dtype
        self._outputs: dict[tuple[int, int], Output] = {}
        self._meta: Any = None
        self._lock = Lock()

    @cached_property
    def config(self) -> dict[str, Any]:
        """The checkpoint's ``config.json``."""
        return self.checkpoint.config

    @cached_property
    def network(self) -> Any:
        """The class that ``config.json`` names.

        Raises:
            ForesightError: it names none, or one that is no autoencoder.
        """
        import diffusers

        name = self.config.get("_class_name")
        network = getattr(diffusers, str(name), None)
        is_model = isinstance(network, type) and issubclass(network, diffusers.ModelMixin)
        inside = getattr(network, "__module__", "").startswith("diffusers.models.autoencoders.")
        if foreign := foreign_class(str(name)):
            raise ForesightError(f"config.json of the checkpoint {self.checkpoint.name} names {foreign}")
        if not (is_model and inside and hasattr(network, "encode")):
            what = f"{name} is" if name else "its config.json names no class (_class_name), so it is"
            raise ForesightError(
                f"the checkpoint {self.checkpoint.name}: {what} no autoencoder of diffusers {diffusers.__version__}. "
                + self._instead
            )
        return network

    @property
    def _instead(self) -> str:
        """Advice for a checkpoint that is no autoencoder: the setting that reads it."""
        kind = self.config.get("model_type")
        if kind is None:
            return "In a whole pipeline, model.subfolder=vae names its autoencoder"
        other = "qwen25vl" if kind == "qwen2_5_vl" else "vision"
        return f"It is a network of transformers ({kind}): take model={other} model.checkpoint={self.checkpoint.name}"

    @property
    def name(self) -> str:
        """Name of the network's class."""
        return str(self.network.__name__)

    @property
    def takes_clips(self) -> bool:
        """True if the network takes ``[b, 3, T, H, W]``, and not ``[b, 3, H, W]``; raises as :attr:`usual_frames`."""
        return self.usual_frames is not None

    @cached_property
    def usual_frames(self) -> int | None:
        """Frames that a video network takes, 1 if it can; None for a network of pictures, which have no time axis.

        Raises:
            ForesightError: it takes neither pictures nor clips; the message has the network's error for both.
        """
        side, reasons = SIDES[0], []
        for frames in (None, *FRAMES):
            shape = (self.channels, frames, side, side) if frames else (self.channels, side, side)
            try:
                self._outputs[frames or 1, side] = self._encode(shape)
            except CannotEncode as error:
                reasons.append(str(error))
            else:
                return frames
        raise ForesightError(f"{self.name} encodes neither pictures ({reasons[0]}) nor clips ({reasons[-1]})")

    @cached_property
    def channels(self) -> int:
        """Channels of the pictures that it takes: 3, or 4 with opacity (Qwen-Image-Layered and Qwen-Image-2.1)."""
        return 4 if 4 in (self.config.get("in_channels"), self.config.get("input_channels")) else 3

    @cached_property
    def factor(self) -> int:
        """Pixels along each side that one latent covers.

        Raises:
            ForesightError: the network resizes every picture itself.
        """
        small, large = (side / self.output(self.usual_frames or 1, side).shape[-1] for side in SIDES)
        if round(small) != round(large):
            raise ForesightError(
                f"{self.name} resizes every picture to a fixed size, so model.resolution= would have no effect: "
                "model=autoencoder wants a network whose latents grow with the picture"
            )
        return round(large)

    def output(self, frames: int, side: int) -> Output:
        """Return what the network gives for ``frames`` squares of ``side`` pixels.

        Raises:
            ForesightError: it does not take this number of frames; the message names numbers near it that work.
        """
        clips = self.takes_clips
        if frames < 1:
            raise ForesightError(f"{self.name} takes pictures, but the sample has none")
        if frames > 1 and not clips:
            raise ForesightError(
                f"{self.name} takes still pictures, not clips of {frames} frames. "
                "Add data.frames=1, or choose a video autoencoder"
            )
        with self._lock:  # prepare() runs in several threads, and each would compute the same output
            if (frames, side) not in self._outputs:
                try:
                    count = (self.channels, frames) if clips else (self.channels,)
                    self._outputs[frames, side] = self._encode((*count, side, side))
                except CannotEncode as error:
                    raise ForesightError(self._refusal(frames, side, str(error))) from None
            return self._outputs[frames, side]

    def _refusal(self, frames: int, side: int, reason: str) -> str:
        if self.takes_clips:
            below = range(frames - 1, max(0, frames - NEAR), -1)
            near = [self._first_taken(numbers, side) for numbers in (below, range(frames + 1, frames + NEAR))]
            if taken := [str(number) for number in near if number]:
                return f"{self.name} takes {' or '.join(taken)} frames, not {frames}"
        shape = f"{frames} frames of {side} x {side} pixels" if self.takes_clips else f"{side} x {side} pixels"
        return f"{self.name} cannot encode {shape}: {reason}"

    def _first_taken(self, numbers: range, side: int) -> int | None:
        for number in numbers:
            try:
                self._encode((self.channels, number, side, side))
            except CannotEncode:
                continue
            return number
        return None

    def _encode(self, shape: tuple[int, ...]) -> Output:
        """Return what the network gives for samples of ``shape``: two at once or, where it cannot, one by one."""
        try:
            return self._encode_batch(2, shape)
        except CannotEncode:  # HunyuanVideo 1.5 in diffusers 0.42 makes its attention mask for a batch of one
            return self._encode_batch(1, shape)

    def _encode_batch(self, count: int, shape: tuple[int, ...]) -> Output:
        """Encode ``count`` samples; after a failure the network is built again, because some keep state of it."""
        import torch

        network, dtype = self.network, getattr(torch, self.dtype)  # its module is imported here, not on meta
        if self._meta is None:
            with self.checkpoint.reading(), torch.device("meta"):
                self._meta = self._build(network).to(device="meta", dtype=dtype).eval()  # some buffers are on the CPU
        vae = self._meta
        try:
            with torch.device("meta"), torch.no_grad():
                latents, posterior = encoded(vae, torch.empty((count, *shape), dtype=dtype))
        except Exception as error:  # networks raise errors of many kinds for pixels that they do not take
            self._meta = None
            raise CannotEncode(first_line(error)) from error
        if latents.ndim != len(shape) + 1 or len(latents) != count:
            raise CannotEncode(f"its latents have the shape {list(latents.shape)}")
        return Output(
            shape=tuple(latents.shape[1:]),
            itemsize=latents.element_size(),
            draws=posterior is not None,
            unscaled=_why_unscaled(vae, latents.shape[1]),
            batches=count > 1,
            patch=patch(vae),
        )

    def _build(self, network: Any) -> Any:
        try:
            return network.from_config(dict(self.config))
        except TypeError as error:  # the config lacks an argument that the class wants
            raise ValueError(str(error)) from error


def _why_unscaled(vae: Any, channels: int) -> str:
    """Return why the latents of ``vae`` cannot be normalized; empty if they can."""
    if patch(vae) != (1, 1):
        return ""
    if mean_and_std := statistics(vae):
        sizes = [len(values) for values in mean_and_std]
        if sizes != [channels, channels]:
            return f"latents_mean and latents_std have {sizes[0]} and {sizes[1]} values for {channels} channels"
    elif vae.config.get("scaling_factor") is None:
        return "it has no latents_mean and latents_std, and no scaling_factor"
    return ""
