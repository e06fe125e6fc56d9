"""Small Qwen2.5-VL checkpoints in the layouts that people have: names, keys and settings are the public ones.

Every width is scaled down with its ratios kept; the vocabulary is that of ``qwen_tokenizer``. One network is made for
each published size, in memory, and written in any layout.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tests.layouts.qwen_tokenizer import IMAGES, TEXT, token_ids, write_tokenizer

HEAD = 16
BLOCKS = 6
SIZES: dict[str, dict[str, int]] = {
    "3B": {"heads": 8, "kv": 1, "inner": 688, "vision_inner": 86, "vocabulary": 304, "shards": 2},
    "7B": {"heads": 7, "kv": 1, "inner": 592, "vision_inner": 86, "vocabulary": 320, "shards": 5},
    "32B": {"heads": 5, "kv": 1, "inner": 432, "vision_inner": 88, "vocabulary": 320, "shards": 18},
    "72B": {"heads": 8, "kv": 1, "inner": 462, "vision_inner": 88, "vocabulary": 320, "shards": 38},
}
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
PIXELS = {"min_pixels": 3136, "max_pixels": 12845056}
EDGES = {"longest_edge": 12845056, "shortest_edge": 3136}


@dataclass(frozen=True)
class Layout:
    """The layout of a checkpoint.

    Attributes:
        size: that of a published network.
        config: the kind of ``config.json``: as published, or as written by this release of transformers.
        keys: ``old`` (``model.layers``, ``visual``), ``new`` (``model.language_model``, ``model.visual``).
        shards: number of weight files; a single one has no index.
        dtype: of the weights in the files.
        template: the file of the template with pictures; ``tokenizer_config.json`` also has one for text alone.
        text_template: whether the tokenizer's own template is also written.
        processor: the kind of the image processor's settings.
        tokenizer: arguments of :func:`write_tokenizer`.
        files: further files, by name.
    """

    size: str = "7B"
    config: str = "published"
    keys: str = "old"
    shards: int = 1
    dtype: torch.dtype = torch.bfloat16
    template: str = "chat_template.json"
    text_template: bool = True
    processor: str = "published"
    tokenizer: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


def published(size: str) -> Layout:
    """Return the layout of ``Qwen/Qwen2.5-VL-{size}-Instruct`` on the hub."""
    return Layout(size, config="4.49" if size == "32B" else "published", shards=SIZES[size]["shards"])


@lru_cache
def network(size: str) -> Any:
    """Make the network of one size, with weights that bfloat16 and float16 both hold exactly."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    torch.manual_seed(0)
    made = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(**config_of(size, "4.57"))).eval()
    for weight in made.parameters():  # wider than the default, so that every block changes the stream
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
        else:
            torch.nn.init.normal_(weight, mean=1, std=0.2)
        weight.data[weight.abs() < 2**-14] = 0
        weight.data = weight.bfloat16().half().float()
    return made


def config_of(size: str, release: str) -> dict[str, Any]:
    """Return the content of ``config.json``."""
    small, ids = SIZES[size], token_ids()
    hidden = HEAD * small["heads"]
    marks = {
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "vision_token_id": ids["<|vision_pad|>"],
    }
    pads = {"image_token_id": ids["<|image_pad|>"], "video_token_id": ids["<|video_pad|>"]}
    ends = {"bos_token_id": ids["<|endoftext|>"], "eos_token_id": ids["<|im_end|>"]}
    text = {
        "attention_dropout": 0.0,
        **ends,
        "hidden_act": "silu",
        "hidden_size": hidden,
        "initializer_range": 0.02,
        "intermediate_size": small["inner"],
        "max_position_embeddings": 128000,
        "max_window_layers": BLOCKS,
        "num_attention_heads": small["heads"],
        "num_hidden_layers": BLOCKS,
        "num_key_value_heads": small["kv"],
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "sliding_window": 32768,
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": small["vocabulary"],
    }
    vision = {
        "depth": 4,
        "hidden_act": "silu",
        "hidden_size": 32,
        "intermediate_size": small["vision_inner"],
        "num_heads": 2,
        "in_chans": 3,
        "out_hidden_size": hidden,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "spatial_patch_size": 14,
        "window_size": 112,
        "fullatt_block_indexes": [1, 3],
        "tokens_per_second": 2,
        "temporal_patch_size": 2,
    }
    whole = {"architectures": ["Qwen2_5_VLForConditionalGeneration"], "model_type": "qwen2_5_vl"}
    whole |= {"tie_word_embeddings": size == "3B", **marks, **pads}
    section = {"mrope_section": [2, 3, 3]}
    rope = {"rope_scaling": {**section, "rope_type": "default", "type": "default"}}
    later = {**vision, "in_channels": 3, "initializer_range": 0.02, "model_type": "qwen2_5_vl"}
    if release == "published":
        dtype = {"torch_dtype": "bfloat16", "transformers_version": "4.41.2"}
        return {**whole, **text, **dtype, "vision_config": vision, "rope_scaling": {"type": "mrope", **section}}
    if release == "4.49":
        dtype = {"torch_dtype": "bfloat16", "transformers_version": "4.49.0", "_attn_implementation_autoset": True}
        vision = {**vision, "model_type": "qwen2_5_vl"}
        return {**whole, **text, **rope, **dtype, "pad_token_id": ends["bos_token_id"], "vision_config": vision}
    own = {**text, **rope, "model_type": "qwen2_5_vl_text", "layer_types": ["full_attention"] * BLOCKS}
    own |= {**marks, "sliding_window": None}
    if release == "4.53":
        own |= {"image_token_id": None, "video_token_id": None, "torch_dtype": "float32"}
        later["torch_dtype"] = "float32"
        dtype = {"torch_dtype": "bfloat16", "transformers_version": "4.53.1"}
    else:
        own["dtype"] = later["dtype"] = "bfloat16"
        dtype = {"dtype": "bfloat16", "transformers_version": "4.57.1"}
    return {**whole, **text, **rope, **dtype, "sliding_window": None, "text_config": own, "vision_config": later}


def write(folder: Path, layout: Layout) -> Path:
    """Write a checkpoint, and make its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_network(folder, layout)
    write_tokenizer(folder, template=TEXT if layout.text_template else None, **layout.tokenizer)
    write_processor(folder, layout.processor, layout.template)
    for name, content in layout.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def write_network(folder: Path, layout: Layout) -> None:
    """Write ``config.json``, ``generation_config.json`` and the weights, with an index if there are several files."""
    _write(folder / "config.json", config_of(layout.size, layout.config))
    ids = token_ids()
    ends = [ids["<|im_end|>"], ids["<|endoftext|>"]]
    _write(folder / "generation_config.json", {"do_sample": True, "eos_token_id": ends, "temperature": 0.000001})
    weights = {_renamed(key, layout.keys): w.to(layout.dtype) for key, w in network(layout.size).state_dict().items()}
    if layout.size == "3B":
        del weights["lm_head.weight"]  # tied to the embeddings
    if layout.shards == 1:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names = [f"model-{i + 1:05}-of-{layout.shards:05}.safetensors" for i in range(layout.shards)]
    place = {key: names[i % layout.shards] for i, key in enumerate(weights)}
    for name in names:
        own = {key: weight for key, weight in weights.items() if place[key] == name}
        save_file(own, folder / name, metadata={"format": "pt"})
    total = sum(weight.nbytes for weight in weights.values())
    _write(folder / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": place})


def write_processor(folder: Path, release: str, template: str | None) -> None:
    """Write the settings of the image processor, and the template with pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    cuts = {"patch_size": 14, "temporal_patch_size": 2, "merge_size": 2, "image_mean": MEAN, "image_std": STD}
    kind = {"image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor"}
    steps = {f"do_{step}": True for step in ("convert_rgb", "normalize", "rescale", "resize")}
    steps |= {"resample": 3, "rescale_factor": 1 / 255}
    fast = {**kind, "image_processor_type": "Qwen2VLImageProcessorFast"}
    unset = dict.fromkeys(("crop_size", "data_format", "device", "do_center_crop", "input_data_format"))
    video = {**steps, **cuts, **unset, "size": EDGES, "video_processor_type": "Qwen2VLVideoProcessor"}
    nested = {**steps, **cuts, "size": EDGES, "image_processor_type": "Qwen2VLImageProcessor"}
    files: dict[str, dict[str, Any]] = {
        "published": {"preprocessor_config.json": {**PIXELS, **cuts, **kind}},
        "4.49": {"preprocessor_config.json": {**PIXELS, **cuts, **kind, **steps, "size": EDGES}},
        "4.57": {
            "preprocessor_config.json": {**PIXELS, **cuts, **fast, **steps, **unset, "size": EDGES},
            "video_preprocessor_config.json": video,
        },
        "5": {"processor_config.json": {"image_processor": nested, "processor_class": "Qwen2_5_VLProcessor",
                                        "video_processor": video}},
    }[release]  # fmt: skip
    for name, content in files.items():
        _write(folder / name, content)
    if template is not None and template.endswith(".json"):
        own = json.loads((folder / template).read_text()) if (folder / template).exists() else {}
        _write(folder / template, {**own, "chat_template": IMAGES})
    elif template is not None:
        (folder / template).parent.mkdir(exist_ok=True)
        (folder / template).write_text(IMAGES)


def _renamed(key: str, keys: str) -> str:
    if keys == "new":
        return key
    return key.replace("model.language_model.", "model.").replace("model.visual.", "visual.")


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2))


TRAINER = {
    "optimizer.pt": b"never read",
    "scheduler.pt": b"never read",
    "rng_state.pth": b"never read",
    "training_args.bin": b"never read",
    "trainer_state.json": b'{"global_step": 500, "log_history": []}',
    "latest": b"global_step500",
    "zero_to_fp32.py": b"raise SystemExit('never run')",
    "global_step500/mp_rank_00_model_states.pt": b"never read",
}
DATE = b"{% if messages[0].role == 'tool' %}{{ strftime_now('%d') }}{% endif %}"
STALE = {"README.md": b"---\nlibrary_name: peft\nbase_model: Qwen/Qwen2.5-VL-7B-Instruct\n---\n"}
JINJA = "chat_template.jinja"
OLD = {"legacy": True}
LAYOUTS = {
    **{f"published {size}": published(size) for size in ("3B", "7B", "32B", "72B")},
    "transformers 4.49": Layout(config="4.49", processor="4.49", shards=2, tokenizer=OLD),
    "transformers 4.49, tied": Layout("3B", config="4.49", processor="4.49", tokenizer=OLD),
    "transformers 4.53": Layout(config="4.53", keys="new", processor="4.57", template=JINJA, tokenizer=OLD),
    "transformers 4.57": Layout(config="4.57", processor="4.57", template=JINJA, text_template=False, shards=3),
    "transformers 4.57, tied": Layout("3B", config="4.57", keys="new", processor="4.57", template=JINJA),
    "transformers 5": Layout(config="4.57", processor="5", template=JINJA, text_template=False),
    "a template in processor_config.json": Layout(processor="5", template="processor_config.json"),
    "a trainer's folder": Layout(config="4.57", processor="4.57", template=JINJA, tokenizer=OLD, files=TRAINER),
    "merged": Layout(config="4.53", processor="4.57", template=JINJA, files=STALE),
    "a text template saved over the other": Layout(files={JINJA: TEXT.encode()}),
    "a template that names the date": Layout(template=JINJA, files={JINJA: IMAGES.encode() + DATE}),
    "float16": Layout(dtype=torch.float16),
    "float32, sharded": Layout(dtype=torch.float32, shards=4),
    "no tokenizer.json": Layout(tokenizer={"fast": False, "legacy": True}),
    "no vocab.json": Layout(tokenizer={"slow": False}),
}
"""Layouts of folders with one network, by name."""
