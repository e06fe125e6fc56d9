"""How large a network and what it computes are, from config files and the headers of its weights."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from math import prod
from typing import Any, NamedTuple

from foresight_cli.errors import ForesightError
from foresight_cli.hashing import unread_bytes
from foresight_cli.models.checkpoint import Checkpoint

STORED = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}
"""Bytes of one number, by the ``torch_dtype`` of a ``config.json``."""

TYPICAL_TOKENS = 1280
"""Visual tokens of a picture of a million pixels: what is reckoned with where each picture keeps its own size."""


class Size(NamedTuple):
    """Numbers to be held in memory; None where the files do not say.

    Attributes:
        weights: of the network.
        activations: of one sample on its way through the network, where they are most.
    """

    weights: int | None
    activations: int | None


def weight_count(checkpoint: Checkpoint, unread: Collection[str] = ()) -> int | None:
    """Numbers in the weight files of ``checkpoint``; None where they cannot be known yet.

    Of files that are still on the hub, it is their size over that of one number.

    Args:
        checkpoint: whose files they are.
        unread: regular expressions for the names of weights that the network has no place for.
    """
    pattern = re.compile("|".join(f"(?:{one})" for one in unread)) if unread else None
    try:
        files = checkpoint if checkpoint.weights else replace(checkpoint, weights=True)
        if files.tensors:
            read = (t for name, t in files.tensors.items() if pattern is None or not pattern.search(name))
            return sum(prod(tensor.shape) for tensor in read)
        sizes = files.weight_file_bytes
    except ForesightError:  # random weights, beside none in the folder; others are refused where they are wanted
        return None
    return None if sizes is None else sizes // _itemsize(files.config)


def unhashed_bytes(checkpoint: Checkpoint) -> int:
    """Bytes of weights in a local folder that have to be read for their hash, since no earlier run has hashed them."""
    if checkpoint.local is None or checkpoint.layout is None:
        return 0
    folder = checkpoint.local / (checkpoint.subfolder or "")
    return unread_bytes([folder / name for name in checkpoint.layout.weights])


def _itemsize(config: dict[str, Any]) -> int:
    settings = [config, *(value for value in config.values() if isinstance(value, dict))]
    names = [part.get("torch_dtype") or part.get("dtype") for part in settings]
    return next((STORED[name] for name in names if name in STORED), 4)


def transformer_activations(tokens: int, width: int, inner: int) -> int:
    """Numbers held at once in one block: the stream, its normed copy, queries, keys, values, and the wide middle.

    Args:
        tokens: that go through it.
        width: of the stream.
        inner: width of the feed-forward part.
    """
    return tokens * (8 * width + 3 * inner)


def convolution_activations(config: dict[str, Any], side: int, frames: int) -> int | None:
    """Numbers held at once in the first stage of an autoencoder's encoder, where the grid is finest.

    Args:
        config: content of its ``config.json``.
        side: pixels of a side of the picture.
        frames: of the clip.
    """
    channels = config.get("block_out_channels") or config.get("encoder_block_out_channels")
    width = channels[0] if isinstance(channels, list) and channels else config.get("base_dim") or config.get("dim")
    if not isinstance(width, int):
        return None
    patch = config.get("patch_size") or 1
    cells = (side // patch) ** 2 if isinstance(patch, int) else side**2
    return 6 * width * cells * (frames + 2)  # what a block holds at once; causal convolutions repeat the first frame
