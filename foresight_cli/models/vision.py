"""``model=vision``: the hidden states of an image encoder of transformers, with its own image processor.

``layer=k`` is ``hidden_states[k]`` in transformers' terms: after ``k`` blocks (ViT, DINOv2, CLIP, SigLIP ...) or after
``k`` stages (ConvNeXt, Swin ...). ``layer=final`` is ``last_hidden_state``, after the final norm where the class puts
one over all tokens (CLIP's does not). A feature map ``[C, H, W]`` counts as ``H * W`` tokens of width ``C``:
``channel_mean`` is over them, ``flat`` is token by token.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from foresight_cli.config import VisionConfig
from foresight_cli.data.clip import Clip
from foresight_cli.errors import ForesightError, UnfitSample, UsageError, first_line
from foresight_cli.models.harmless_weights import OTHER_TOWERS, VISION
from foresight_cli.models.model import Prepared, Tap
from foresight_cli.models.network import checkpoint_of, foresee_transformers, load_transformers, network_recipe
from foresight_cli.models.not_finite import refuse_spoiled
from foresight_cli.models.pooling import pool
from foresight_cli.models.size import Size, weight_count
from foresight_cli.models.vision_processor import folders_of_processor, read_processor
from foresight_cli.models.vision_shape import VisionShape

if TYPE_CHECKING:
    import torch

    from foresight_cli.models.vision_layers import Encoder

UNUSED = ("pooler.", "head.", "embeddings.mask_token")
"""Weights after ``last_hidden_state``, or for masked training: a classifier's checkpoint does not have them."""


class Vision:
    """The image encoder in a checkpoint: the whole network, or the vision tower of one like CLIP."""

    pads = False

    def __init__(self, config: VisionConfig) -> None:
        self.config = config
        self.checkpoint = checkpoint_of(config, config.subfolder, beside=folders_of_processor(config))
        self._shape = VisionShape(self.checkpoint)
        self._processor: Any = None
        self._takes: tuple[str, ...] = ()
        self._encoder: Encoder | None = None

    def recipe(self, layer: str) -> dict[str, Any]:
        """See :class:`LatentModel`. PIL and torchvision resize to different last digits: the backend is named."""
        return {
            **network_recipe(self.config, self.checkpoint),
            "subfolder": self.config.subfolder,
            "processor": "pil",
            "tokens": self.config.tokens,
        }

    def identity(self, *, reach_hub: bool) -> dict[str, Any]:
        """See :class:`LatentModel`."""
        return self.checkpoint.identity(reach_hub=reach_hub)

    def check_layers(self, layers: Sequence[str]) -> None:
        """See :class:`LatentModel`."""
        depth = self._shape.depth
        for layer in layers:
            if layer != "final" and int(layer) >= depth:
                has = f"It has 0 (the embeddings) to {depth - 1}, and final"
                raise UsageError(f"{self.config.checkpoint} has no layer {layer}. {has}")

    def check_files(self, *, clips: bool = False) -> None:
        """See :class:`LatentModel`."""
        self._shape.network()
        read_processor(self.checkpoint, self._shape)

    def size(self, frames: int) -> Size:
        """See :class:`LatentModel`."""
        return Size(weight_count(self.checkpoint, OTHER_TOWERS), self._shape.activations)

    def check_weights(self) -> None:
        """See :class:`LatentModel`."""
        kind = self._shape.network()
        foresee_transformers(kind, self.checkpoint, what=kind.__name__, unused=UNUSED, harmless=VISION)

    def all_layers(self) -> tuple[str, ...]:
        """See :class:`LatentModel`."""
        return (*map(str, range(self._shape.depth)), "final")

    def row_bytes(self, tap: Tap, frames: int) -> int | None:
        """See :class:`LatentModel`."""
        return self._shape.row_bytes(tap, self.config.tokens, self.config.dtype)

    def load(self, device: str) -> None:
        """Read processor and network through ``from_pretrained``, and find the network's layers and tokens."""
        import torch
        from PIL import Image

        from foresight_cli.models.vision_layers import Encoder

        kind = self._shape.network()
        self._processor = read_processor(self.checkpoint, self._shape)
        parameters = inspect.signature(kind.forward).parameters
        self._takes = tuple(parameters)
        noise = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
        pictures = [self.prepare(Clip((Image.fromarray(pixels),)), "noise") for pixels in noise]
        needed = [name for name, p in parameters.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
        if lacking := [name for name in needed if name != "self" and name not in pictures[0].tensors]:
            raise self._shape.refusal(
                f"the network wants {', '.join(lacking)}, which its image processor does not give"
            )
        try:
            network = load_transformers(
                kind, self.config, self.checkpoint, device, what=kind.__name__, unused=UNUSED, harmless=VISION
            )
        except ForesightError as error:
            if isinstance(error.__cause__, ImportError):  # a network built on another package, for example DETR on timm
                raise self._shape.refusal(first_line(error.__cause__)) from None
            raise
        try:
            with self.checkpoint.reading(), torch.inference_mode():
                self._encoder = Encoder(network, self._shape, _stacked(pictures, network))
        except ForesightError:
            refuse_spoiled(self.checkpoint)  # with NaN in its weights, the layers of any network seem wrong
            raise
        if self.config.tokens == "cls" and not self._encoder.before:
            raise UsageError(f"{self.config.checkpoint} has no class token; choose model.tokens=patch")

    def prepare(self, clip: Clip, sample_id: str) -> Prepared:
        """Return what the image processor makes of a still picture; the shape is that of the pixels.

        Raises:
            ForesightError: it is not one picture.
            UnfitSample: the processor cannot take it.
        """
        if len(clip.frames) != 1:
            raise ForesightError(
                f"{sample_id!r} is a clip of {len(clip.frames)} frames; model=vision takes still pictures"
            )
        frame = clip.frames[0]
        try:
            made = self._processor(images=[frame], return_tensors="pt")
        except (ValueError, ArithmeticError, IndexError) as error:
            raise UnfitSample(sample_id, f"{frame.width} x {frame.height} pixels: {first_line(error)}") from None
        tensors = {name: made[name][0] for name in self._takes if name in made}
        mask = tensors.get("pixel_attention_mask")
        if mask is not None and mask.ndim == 1:  # SigLIP 2 pads every picture to one number of patches: cut that off
            real = int(mask.sum())
            tensors |= {"pixel_values": tensors["pixel_values"][:real], "pixel_attention_mask": mask[:real]}
        return Prepared(sample_id, tensors, tuple(tensors["pixel_values"].shape))

    def features(self, batch: Sequence[Prepared], taps: Sequence[Tap]) -> dict[Tap, torch.Tensor]:
        """See :class:`LatentModel`.

        Raises:
            UnfitSample: the network does not take pictures of the size that the image processor gives.
        """
        import torch

        encoder = self._encoder
        assert encoder is not None, "load() first"
        read: dict[Tap, torch.Tensor] = {}

        def keep(layer: str, tokens: torch.Tensor) -> None:
            wanted = self._wanted(tokens, encoder)
            read.update({tap: pool(wanted, tap.pooling) for tap in taps if tap.layer == layer})

        try:
            with torch.inference_mode():
                encoder.run(_stacked(batch, encoder.network), {tap.layer for tap in taps}, keep)
        except ValueError as error:
            size, network = " x ".join(map(str, batch[0].shape)), type(encoder.network).__name__
            reason = f"its image processor makes it {size}, which {network} cannot take: {first_line(error)}"
            raise UnfitSample(batch[0].sample_id, reason) from error
        return {tap: read[tap].cpu() for tap in taps}

    def _wanted(self, tokens: torch.Tensor, encoder: Encoder) -> torch.Tensor:
        """Return the positions that ``model.tokens`` selects; the class token is the first of all."""
        if self.config.tokens == "cls":
            return tokens[:, :1]
        if self.config.tokens == "patch":
            return tokens[:, encoder.before : tokens.shape[1] - encoder.after]
        return tokens


def _stacked(batch: Sequence[Prepared], network: Any) -> dict[str, torch.Tensor]:
    """Return the network's inputs for a batch, on its device and with its dtype."""
    import torch

    inputs = {name: torch.stack([p.tensors[name] for p in batch]).to(network.device) for name in batch[0].tensors}
    return {name: t.to(network.dtype) if t.is_floating_point() else t for name, t in inputs.items()}
