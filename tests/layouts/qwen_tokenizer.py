"""A tokenizer like that of Qwen2.5-VL with a small vocabulary: bytes, a few merges, and the published special tokens.

``vocab.json`` holds the bytes and merges alone; the special tokens follow in the published order, as ``added_tokens``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MERGES = (
    "Ġ t",
    "i s",
    "t h",
    "Ġ is",
    "a t",
    "h at",
    "e r",
    "u s",
    "us er",
    "s c",
    "D e",
    "De sc",
    "a s",
    "a n",
    "an t",
)
SPECIAL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
PLAIN = (
    *("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>"),
    *("<|repo_name|>", "<|file_sep|>"),
)
"""Added tokens that are not special."""
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

IMAGES = """{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}\
{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system
You are a helpful assistant.<|im_end|>
{% endif %}<|im_start|>{{ message['role'] }}
{% if message['content'] is string %}{{ message['content'] }}<|im_end|>
{% else %}{% for content in message['content'] %}{% if content['type'] == 'image' or 'image' in content %}\
{% set image_count.value = image_count.value + 1 %}{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}\
<|vision_start|><|image_pad|><|vision_end|>{% elif content['type'] == 'video' or 'video' in content %}\
{% set video_count.value = video_count.value + 1 %}{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}\
<|vision_start|><|video_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}\
<|im_end|>
{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""A template with pictures, equivalent to the published ``chat_template.json``."""

TEXT = """{%- if tools %}{{- '<|im_start|>system\\n# Tools\\n' }}\
{%- for tool in tools %}{{- tool | tojson }}{%- endfor %}\
{{- '<|im_end|>\\n' }}{%- elif messages[0]['role'] != 'system' %}\
{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{%- endif %}{%- for message in messages %}\
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}{%- endfor %}\
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""
"""A template for text and tools, equivalent to that in the published ``tokenizer_config.json``."""


def vocabulary() -> dict[str, int]:
    """Return the bytes in the spelling of byte-level BPE, and the results of the merges."""
    from tokenizers.pre_tokenizers import ByteLevel

    return {token: i for i, token in enumerate((*sorted(ByteLevel.alphabet()), *(m.replace(" ", "") for m in MERGES)))}


def token_ids() -> dict[str, int]:
    """Return the ids of the added tokens."""
    first = len(vocabulary())
    return {token: first + i for i, token in enumerate((*SPECIAL, *PLAIN))}


def backend() -> Any:
    """Make a tokenizer of the ``tokenizers`` library, with the published steps."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    made = Tokenizer(models.BPE(vocabulary(), [tuple(merge.split(" ")) for merge in MERGES]))
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.ByteLevel(trim_offsets=False)
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    made.add_tokens([AddedToken(token, special=False, normalized=False) for token in PLAIN])
    return made


def write_tokenizer(
    folder: Path, *, fast: bool = True, slow: bool = True, legacy: bool = False, template: str | None = None
) -> None:
    """Write the tokenizer's files.

    Args:
        folder: that they are written to.
        fast: write ``tokenizer.json``.
        slow: write ``vocab.json`` and ``merges.txt``.
        legacy: write ``added_tokens.json`` and ``special_tokens_map.json``, as transformers 4 did.
        template: the chat template in ``tokenizer_config.json``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ids = token_ids()
    added = {
        str(number): {
            "content": token,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": token in SPECIAL,
        }
        for token, number in ids.items()
    }
    config = {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": added,
        "additional_special_tokens": list(SPECIAL[1:]),
        "bos_token": None,
        **({"chat_template": template} if template else {}),
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 131072,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2))
    if fast:
        backend().save(str(folder / "tokenizer.json"))
    if slow:
        (folder / "vocab.json").write_text(json.dumps(vocabulary(), ensure_ascii=False))
        (folder / "merges.txt").write_text("\n".join(("#version: 0.2", *MERGES)) + "\n")
    if legacy:
        token = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
        special = {
            "additional_special_tokens": list(SPECIAL[1:]),
            "eos_token": {"content": "<|im_end|>", **token},
            "pad_token": {"content": "<|endoftext|>", **token},
        }
        (folder / "special_tokens_map.json").write_text(json.dumps(special))
        (folder / "added_tokens.json").write_text(json.dumps(ids))
