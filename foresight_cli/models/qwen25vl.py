"""``model=qwen25vl``: the hidden states of Qwen2.5-VL's decoder for one picture or clip and a short prompt.

``layer=k`` is ``hidden_states[k]`` in transformers' terms: the residual stream after ``k`` decoder blocks, before the
final norm. ``layer=final`` is after all blocks and after the final norm (``model.final_norm=false``: before it).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from foresight_cli.config import Qwen25VLConfig
from foresight_cli.data.clip import Clip
from foresight_cli.errors import UsageError
from foresight_cli.models.harmless_weights import QWEN25VL
from foresight_cli.models.model import Prepared, Tap
from foresight_cli.models.network import (
    ITEMSIZE,
    checkpoint_of,
    foresee_transformers,
    input_device,
    load_transformers,
    network_recipe,
)
from foresight_cli.models.pooling import pool
from foresight_cli.models.qwen25vl_files import BESIDE, prompt_identity
from foresight_cli.models.qwen25vl_inputs import Inputs
from foresight_cli.models.qwen25vl_processor import Processor, load_processor
from foresight_cli.models.size import TYPICAL_TOKENS, Size, transformer_activations, weight_count

if TYPE_CHECKING:
    import torch
    from transformers import Qwen2_5_VLForConditionalGeneration

    from foresight_cli.models.model import Vectors

UNUSED = ("lm_head.weight",)
"""Weights that no hidden state depends on: they may be missing."""

ALL_LAYERS = (4, 8, 16, 24)  # layer=all is these of the 28 and final, as in conf/layer


class _LastTapRead(Exception):
    """Raised inside a forward pass once every wanted layer is read: the blocks above it need not run."""


class Qwen25VL:
    """``Qwen2_5_VLForConditionalGeneration`` with its own tokenizer, chat template and image processor."""

    pads = True

    def __init__(self, config: Qwen25VLConfig) -> None:
        self.config = config
        self.checkpoint = checkpoint_of(config, config.subfolder, beside=BESIDE if config.subfolder else ())
        self._network: Qwen2_5_VLForConditionalGeneration | None = None
        self._inputs: Inputs | None = None

    def recipe(self, layer: str) -> dict[str, Any]:
        """See :class:`LatentModel`. ``final_norm`` appears only if it changes something."""
        config = self.config
        return {
            **network_recipe(config, self.checkpoint),
            **({"subfolder": self.checkpoint.subfolder} if self.checkpoint.subfolder else {}),
            "resolution": config.resolution,
            "resize": "pil-bicubic",
            "tokens": config.tokens,
            "prompt": config.prompt,
            **({"final_norm": config.final_norm} if layer == "final" else {}),
        }

    def identity(self, *, reach_hub: bool) -> dict[str, Any]:
        """See :class:`LatentModel`."""
        if self.checkpoint.local is not None:
            self._refuse_other_kind()  # before gigabytes are hashed
        return {
            **self.checkpoint.identity(reach_hub=reach_hub),
            **prompt_identity(self.checkpoint, reach_hub=reach_hub),
        }

    def check_layers(self, layers: Sequence[str]) -> None:
        """See :class:`LatentModel`."""
        self._refuse_other_kind()
        blocks = self._number("num_hidden_layers")
        for layer in layers:
            if layer != "final" and int(layer) >= blocks:
                has = f"It has 0 (the embeddings) to {blocks - 1}, and final"
                raise UsageError(f"{self.config.checkpoint} has no layer {layer}. {has}")

    def _refuse_other_kind(self) -> None:
        kind = self.checkpoint.config.get("model_type")
        if kind != "qwen2_5_vl":
            raise UsageError(
                f"{self.config.checkpoint} is of the kind {kind!r}; model=qwen25vl takes qwen2_5_vl. Image encoders "
                "are read by model=vision, autoencoders by model=autoencoder"
            )

    def size(self, frames: int) -> Size:
        """See :class:`LatentModel`."""
        tower = self.checkpoint.config.get("vision_config") or {}
        side = self.config.resolution
        visual = (TYPICAL_TOKENS if side is None else (side // 28) ** 2) * ((frames + 1) // 2)
        prompt = 64  # tokens, roughly, with the template around it
        seen = transformer_activations(4 * visual, tower.get("hidden_size", 1280), tower.get("intermediate_size", 3420))
        read = transformer_activations(visual + prompt, self._number("hidden_size"), self._number("intermediate_size"))
        return Size(weight_count(self.checkpoint), max(seen, read))

    def check_weights(self) -> None:
        """See :class:`LatentModel`."""
        from transformers import Qwen2_5_VLForConditionalGeneration

        network = Qwen2_5_VLForConditionalGeneration
        foresee_transformers(network, self.checkpoint, what="Qwen2.5-VL", unused=UNUSED, harmless=QWEN25VL)

    def all_layers(self) -> tuple[str, ...]:
        """See :class:`LatentModel`."""
        return (*(str(layer) for layer in ALL_LAYERS if layer < self._number("num_hidden_layers")), "final")

    def row_bytes(self, tap: Tap, frames: int) -> int | None:
        """See :class:`LatentModel`."""
        width = self._number("hidden_size")
        if tap.pooling == "channel_mean":
            return 4 * width
        side = self.config.resolution
        if self.config.tokens == "last":
            return ITEMSIZE[self.config.dtype] * width
        if self.config.tokens == "image" and side is not None:
            return ITEMSIZE[self.config.dtype] * width * (side // 28) ** 2 * ((frames + 1) // 2)
        return None

    def _number(self, key: str) -> int:
        """Return a number of the decoder's config, which is at the top level in files of transformers 4."""
        config = self.checkpoint.config
        with self.checkpoint.reading():
            return int((config.get("text_config") or config).get(key, config.get(key, 0)))

    def check_files(self, *, clips: bool = False) -> None:
        """See :class:`LatentModel`."""
        self._parts.prompt_ids("video" if clips else "image", self.config.prompt)

    @cached_property
    def _parts(self) -> Processor:
        return load_processor(self.checkpoint)

    def load(self, device: str) -> None:
        """Read tokenizer, image processor and network through ``from_pretrained``."""
        from transformers import Qwen2_5_VLForConditionalGeneration

        self.checkpoint.check()
        parts = self._parts  # its faults are found before gigabytes are read
        network = Qwen2_5_VLForConditionalGeneration
        self._network = load_transformers(
            network,
            self.config,
            self.checkpoint,
            device,
            what="Qwen2.5-VL",
            unused=UNUSED,
            harmless=QWEN25VL,
            device_map=self.config.device_map,
        )
        self._inputs = Inputs(self.config, parts, self._network)

    def prepare(self, clip: Clip, sample_id: str) -> Prepared:
        """Return patches, the prompt with one placeholder for each visual token, and the position of each token."""
        assert self._inputs is not None, "load() first"
        return self._inputs.prepare(clip, sample_id)

    def features(self, batch: Sequence[Prepared], taps: Sequence[Tap]) -> dict[Tap, Vectors]:
        """See :class:`LatentModel`. Neither the language-model head nor any block above the last wanted layer runs."""
        import torch

        network, inputs = self._network, self._inputs
        assert network is not None, "load() first"
        assert inputs is not None
        device = input_device(network)
        ids, positions, real = _padded(batch)
        kind = "video" if bool((ids == inputs.placeholders["video"]).any()) else "image"
        wanted = self._wanted(ids == inputs.placeholders[kind], real)
        pixels = "pixel_values_videos" if kind == "video" else "pixel_values"
        arguments = {
            "input_ids": ids,
            "position_ids": positions,
            pixels: torch.cat([p.tensors["pixel_values"] for p in batch]).to(network.dtype),
            f"{kind}_grid_thw": torch.tensor([p.shape for p in batch]),
        }
        read: dict[Tap, Vectors] = {}
        with torch.inference_mode(), self._hooks(taps, wanted, read), suppress(_LastTapRead):
            # No attention mask: attention is causal and the padding is at the end, so no real token attends to it;
            # with a mask, torch would not use the fused kernels that need none.
            network.model(use_cache=False, **{name: tensor.to(device) for name, tensor in arguments.items()})
        return {tap: _on_cpu(read[tap]) for tap in taps}

    def _wanted(self, visual: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """Return the mask ``[b, tokens]`` of the positions that ``model.tokens`` selects."""
        if self.config.tokens == "image":
            return visual
        if self.config.tokens == "text":
            return real & ~visual
        if self.config.tokens == "last":
            return real & (real.cumsum(dim=1) == real.sum(dim=1, keepdim=True))
        return real

    @contextmanager
    def _hooks(self, taps: Sequence[Tap], wanted: torch.Tensor, read: dict[Tap, Vectors]) -> Iterator[None]:
        """Pool each wanted layer as soon as it is computed, so that no full hidden state is kept."""
        assert self._network is not None
        decoder = self._network.model.language_model
        counts = wanted.sum(dim=1).tolist()
        at = wanted.to(input_device(self._network))

        def keep(layer: str, hidden: torch.Tensor) -> None:
            tokens = hidden[at.to(hidden.device)]  # [tokens of all samples, d]
            for tap in taps:
                if tap.layer == layer and len(set(counts)) == 1:
                    read[tap] = pool(tokens.view(len(counts), counts[0], -1), tap.pooling)
                elif tap.layer == layer:
                    read[tap] = [pool(sample[None], tap.pooling)[0] for sample in tokens.split(counts)]
            if len(read) == len(taps):
                raise _LastTapRead

        handles = []
        for layer in {tap.layer for tap in taps}:
            if layer == "final" and self.config.final_norm:
                handles.append(decoder.norm.register_forward_hook(lambda _m, _i, out: keep("final", out)))
            elif layer == "final":
                handles.append(decoder.norm.register_forward_pre_hook(lambda _m, inputs: keep("final", inputs[0])))
            else:  # what enters block k is what left block k - 1: hidden_states[k]
                block = decoder.layers[int(layer)]
                handles.append(block.register_forward_pre_hook(lambda _m, inputs, at=layer: keep(at, inputs[0])))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _padded(batch: Sequence[Prepared]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return ids ``[b, tokens]``, positions ``[3, b, tokens]`` and the mask of real ones, padded at the end."""
    import torch

    longest = max(p.length for p in batch)
    ids = torch.zeros(len(batch), longest, dtype=torch.long)
    positions = torch.zeros(3, len(batch), longest, dtype=torch.long)
    real = torch.zeros(len(batch), longest, dtype=torch.bool)
    for row, prepared in enumerate(batch):
        sequence = prepared.tensors["input_ids"]
        ids[row] = sequence[0]  # the prompt's first token, which is no placeholder
        ids[row, : prepared.length] = sequence
        positions[:, row, : prepared.length] = prepared.tensors["position_ids"]
        real[row, : prepared.length] = True
    return ids, positions, real


def _on_cpu(vectors: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor | Sequence[torch.Tensor]:
    """Move the vectors to the CPU, in one piece if they are of one size."""
    import torch

    if not isinstance(vectors, torch.Tensor) and len({len(vector) for vector in vectors}) == 1:
        vectors = torch.stack(list(vectors))
    return vectors.cpu() if isinstance(vectors, torch.Tensor) else [vector.cpu() for vector in vectors]
