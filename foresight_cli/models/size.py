"""Size of a network and of its activations, from config files and the headers of its weights."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from math import prod
from typing import Any, NamedTuple

from foresight_cli.errors import ForesightError
from foresight_cli.machine.hashing import unread_bytes
from foresight_cli.models.checkpoint import Checkpoint

STORED = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}
"""Bytes of one number, by the ``torch_dtype`` of a ``config.json``."""

TYPICAL_TOKENS = 1280
"""Visual tokens of a picture of a million pixels: the assumption where each picture keeps its size."""


class Size(NamedTuple):
    """Numbers to be held in memory; None if the files do not say.

    Attributes:
        weights: of the network.
        activations: of one sample, in the part of the network that has most of them.
    """

    weights: int | None
    activations: int | None


def weight_count(checkpoint: Checkpoint, unread: Collection[str] = ()) -> int | None:
    """Count the numbers in the weight files of ``checkpoint``; None if that is not known yet.

    For files that are still on the hub, it is their size divided by that of one number.

    Args:
        checkpoint: whose files they are.
        unread: regular expressions for the names of weights that the network has no place for.
    """
    pattern = re.compile("|".join(f"(?:{name})" for name in unread)) if unread else None
    try:
        files = checkpoint if checkpoint.weights else replace(checkpoint, weights=True)
        if files.tensors:
            read = (t for name, t in files.tensors.items() if pattern is None or not pattern.search(name))
            return sum(prod(tensor.shape) for tensor in read)
        sizes = files.weight_file_bytes
    except ForesightError:  # with random weights the folder may have none; pretrained ones are refused elsewhere
        return None
    return None if sizes is None else sizes // _itemsize(files.config)


def unhashed_bytes(checkpoint: Checkpoint) -> int:
    """Count the bytes of weights in a local folder that no earlier run has hashed, so that they must be read."""
    if checkpoint.local is None or checkpoint.layout is None:
        return 0
    folder = checkpoint.local / (checkpoint.subfolder or "")
    return unread_bytes([folder / name for name in checkpoint.layout.weights])


def _itemsize(config: dict[str, Any]) -> int:
    settings = [config, *(value for value in config.values() if isinstance(value, dict))]
    names = [part.get("torch_dtype") or part.get("dtype") for part in settings]
    return next((STORED[name] for name in names if name in STORED), 4)


def transformer_activations(tokens: int, width: int, inner: int) -> int:
    """Count the numbers held at once in a block: the stream, its normed copy, queries, keys, values, the wide middle.

    Args:
        tokens: number that go through it.
        width: of the stream.
        inner: width of the feed-forward part.
    """
    return tokens * (8 * width + 3 * inner)


def convolution_activations(config: dict[str, Any], side: int, frames: int) -> int | None:
    """Count the numbers held at once in the first stage of an autoencoder's encoder, where the grid is finest.

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
