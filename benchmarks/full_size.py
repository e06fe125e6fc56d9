"""Checkpoints of published size with random weights, in the file layout of the hub's cache.

The configs, file names, key names and shard counts are those of the published checkpoints; only the weights and the
words of the tokenizer are made up. A folder of the cache contains ``blobs``, ``snapshots/<commit>`` with links to them,
and ``refs/main``.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
FIRST_SPECIAL = 151_643
"""The id of the first special token: the number of words before it in the published vocabulary."""

TEXT_TEMPLATE = """{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""
"""Like the template in the published tokenizer_config.json, it concatenates strings and cannot take a picture."""

PICTURE_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\n"
    "You are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n{% else %}"
    "{% for content in message['content'] %}{% if content['type'] == 'image' or 'image' in content %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% elif content['type'] == 'video' or 'video' in content %}"
    "<|vision_start|><|video_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True)
class Size:
    """A size of Qwen2.5-VL.

    Attributes:
        hub_id: hub id of the published checkpoint.
        text: keys of its config.json for the decoder.
        out_hidden_size: width of the vision tower's output.
        shards: number of files of weights.
    """

    hub_id: str
    text: Mapping[str, Any]
    out_hidden_size: int
    shards: int


QWEN_3B = Size(
    "Qwen/Qwen2.5-VL-3B-Instruct",
    {
        "hidden_size": 2048,
        "intermediate_size": 11008,
        "max_window_layers": 70,
        "num_attention_heads": 16,
        "num_hidden_layers": 36,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
        "vocab_size": 151_936,
    },
    out_hidden_size=2048,
    shards=2,
)
QWEN_7B = Size(
    "Qwen/Qwen2.5-VL-7B-Instruct",
    {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "max_window_layers": 28,
        "num_attention_heads": 28,
        "num_hidden_layers": 28,
        "num_key_value_heads": 4,
        "tie_word_embeddings": False,
        "vocab_size": 152_064,
    },
    out_hidden_size=3584,
    shards=5,
)
LTX_VIDEO = "Lightricks/LTX-Video"


def qwen(cache: Path, size: Size) -> Path:
    """Write a Qwen2.5-VL of ``size`` into the hub cache ``cache``, and return the folder of its snapshot."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    snapshot = _Snapshot(cache, size.hub_id)
    config = _qwen_config(size)
    with torch.device("meta"):
        network = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(**config))
    shapes = {_published_name(name): tuple(weight.shape) for name, weight in network.named_parameters()}
    _write_shards(snapshot, shapes, size.shards, "model", torch.bfloat16)
    snapshot.json("config.json", config)
    snapshot.json("generation_config.json", {"bos_token_id": 151643, "eos_token_id": [151645, 151643]})
    snapshot.json("chat_template.json", {"chat_template": PICTURE_TEMPLATE})
    snapshot.json(
        "preprocessor_config.json",
        {
            "min_pixels": 3136,
            "max_pixels": 12_845_056,
            "patch_size": 14,
            "temporal_patch_size": 2,
            "merge_size": 2,
            "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_std": [0.26862954, 0.26130258, 0.27577711],
            "image_processor_type": "Qwen2VLImageProcessor",
            "processor_class": "Qwen2_5_VLProcessor",
        },
    )
    _write_tokenizer(snapshot)
    return snapshot.folder


def ltx_video(cache: Path) -> Path:
    """Write LTX-Video's autoencoder of published size into the hub cache ``cache``; return its snapshot's folder."""
    from diffusers import AutoencoderKLLTXVideo

    snapshot = _Snapshot(cache, LTX_VIDEO)
    with torch.device("meta"):
        network = AutoencoderKLLTXVideo()  # the defaults of the class are those of the first published checkpoint
    config = {key: value for key, value in network.config.items() if not key.startswith("_")}
    shapes = {name: tuple(weight.shape) for name, weight in network.state_dict().items()}
    snapshot.json("vae/config.json", {"_class_name": "AutoencoderKLLTXVideo", "_diffusers_version": "0.32.0", **config})
    snapshot.json("model_index.json", {"_class_name": "LTXPipeline", "vae": ["diffusers", "AutoencoderKLLTXVideo"]})
    file = snapshot.add("vae/diffusion_pytorch_model.safetensors")
    save_file(dict(_random_weights(shapes, torch.bfloat16)), file, metadata={"format": "pt"})
    return snapshot.folder


def remove(snapshot: Path) -> None:
    """Delete one checkpoint from the disk."""
    shutil.rmtree(snapshot.parent.parent)


class _Snapshot:
    """A commit in the hub's cache: each file is a link to a blob."""

    def __init__(self, cache: Path, hub_id: str) -> None:
        commit = hashlib.sha1(hub_id.encode(), usedforsecurity=False).hexdigest()
        repository = cache / f"models--{hub_id.replace('/', '--')}"
        self.folder = repository / "snapshots" / commit
        self._blobs = repository / "blobs"
        for folder in (self.folder, self._blobs, repository / "refs"):
            folder.mkdir(parents=True, exist_ok=True)
        (repository / "refs" / "main").write_text(commit)

    def add(self, name: str) -> Path:
        """Link ``name`` to a new blob, and return the blob's path to write to."""
        link = self.folder / name
        link.parent.mkdir(exist_ok=True)
        blob = self._blobs / hashlib.sha256(name.encode()).hexdigest()
        link.symlink_to(Path(*[".."] * len(link.relative_to(self.folder.parent.parent).parts[:-1]), "blobs", blob.name))
        return blob

    def json(self, name: str, value: object) -> None:
        """Write a small JSON file."""
        self.add(name).write_text(json.dumps(value, indent=2), encoding="utf-8")


def _qwen_config(size: Size) -> dict[str, Any]:
    """Return the contents of the published config.json, which has the decoder's keys at the top level."""
    return {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "attention_dropout": 0.0,
        "bos_token_id": 151643,
        "eos_token_id": 151645,
        "vision_start_token_id": 151652,
        "vision_end_token_id": 151653,
        "vision_token_id": 151654,
        "image_token_id": 151655,
        "video_token_id": 151656,
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "max_position_embeddings": 128_000,
        "model_type": "qwen2_5_vl",
        "rms_norm_eps": 1e-06,
        "rope_theta": 1_000_000.0,
        "sliding_window": 32_768,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.41.2",
        "use_cache": True,
        "use_sliding_window": False,
        "vision_config": {
            "depth": 32,
            "hidden_act": "silu",
            "hidden_size": 1280,
            "intermediate_size": 3420,
            "num_heads": 16,
            "in_chans": 3,
            "out_hidden_size": size.out_hidden_size,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "spatial_patch_size": 14,
            "window_size": 112,
            "fullatt_block_indexes": [7, 15, 23, 31],
            "tokens_per_second": 2,
            "temporal_patch_size": 2,
        },
        "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
        **size.text,
    }


def _published_name(name: str) -> str:
    """Return the published name: ``model.language_model.layers.0`` of transformers 5 is ``model.layers.0`` there."""
    return name.replace("model.language_model.", "model.", 1).replace("model.visual.", "visual.", 1)


def _write_shards(
    snapshot: _Snapshot, shapes: Mapping[str, tuple[int, ...]], count: int, stem: str, dtype: torch.dtype
) -> None:
    """Write ``stem-0000i-of-0000n.safetensors`` of about equal size, and their index."""
    total = sum(torch.Size(shape).numel() for shape in shapes.values()) * dtype.itemsize
    files: list[dict[str, tuple[int, ...]]] = [{}]
    filled = 0
    for name, shape in shapes.items():
        if filled >= total * len(files) / count:
            files.append({})
        files[-1][name] = shape
        filled += torch.Size(shape).numel() * dtype.itemsize
    weight_map = {}
    for number, part in enumerate(files, start=1):
        name = f"{stem}-{number:05d}-of-{len(files):05d}.safetensors"
        save_file(dict(_random_weights(part, dtype)), snapshot.add(name), metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, name)
    snapshot.json(f"{stem}.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": weight_map})


def _random_weights(shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield weights scaled so that activations neither vanish nor grow: matrices by their inputs, vectors of ones."""
    generator = torch.Generator().manual_seed(0)
    for name, shape in shapes.items():
        if len(shape) > 1:
            fan_in = torch.Size(shape[1:]).numel()
            yield name, torch.empty(shape, dtype=dtype).normal_(0, fan_in**-0.5, generator=generator)
        elif name.endswith("bias") or "mean" in name:
            yield name, torch.zeros(shape, dtype=dtype)
        else:
            yield name, torch.ones(shape, dtype=dtype)


def _write_tokenizer(snapshot: _Snapshot) -> None:
    """Write a byte-level tokenizer with the published vocabulary size and special tokens; other words are made up."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*alphabet, *(f"word{number}" for number in range(FIRST_SPECIAL - len(alphabet)))]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    snapshot.add("tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    snapshot.json("vocab.json", vocabulary)
    snapshot.add("merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    snapshot.json(
        "tokenizer_config.json",
        {
            "add_prefix_space": False,
            "added_tokens_decoder": {
                str(FIRST_SPECIAL + number): {"content": token, "special": True} for number, token in enumerate(SPECIAL)
            },
            "additional_special_tokens": list(SPECIAL[1:]),
            "bos_token": None,
            "chat_template": TEXT_TEMPLATE,
            "eos_token": "<|im_end|>",
            "model_max_length": 131_072,
            "pad_token": "<|endoftext|>",
            "tokenizer_class": "Qwen2Tokenizer",
            "unk_token": None,
        },
    )
