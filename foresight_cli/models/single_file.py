"""Whole models in one file, as their makers publish them: recognise one, and tell how diffusers converts it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

MARKS = (
    ("audio_vae.per_channel_statistics.mean-of-means", "AutoencoderKLLTX2Video"),
    ("vae.per_channel_statistics.mean-of-means", "AutoencoderKLLTXVideo"),
    ("first_stage_model.encoder.conv_in.weight", "AutoencoderKL"),
    ("encoder.down.0.block.0.norm1.weight", "AutoencoderKL"),
    ("decoder.middle.0.residual.0.gamma", "AutoencoderKLWan"),
)
"""A tensor that marks each kind of file, and the class of diffusers that reads its autoencoder; the first match counts.

Source: ``CHECKPOINT_KEY_NAMES`` in diffusers' ``loaders/single_file_utils.py``, 0.42.
"""


def class_of(file: Path) -> str | None:
    """Return the class of diffusers whose ``from_single_file`` reads the autoencoder in ``file``; None if unknown."""
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            names = json.loads(opened.read(length)) if length <= 100_000_000 else {}
    except (OSError, ValueError):
        return None
    return next((name for mark, name in MARKS if mark in names), None)


def convert_line(name: str, file: str) -> str:
    """Return the shell line with which diffusers writes the autoencoder in ``file`` to the folder ``converted/vae``."""
    code = f"from diffusers import {name} as A; A.from_single_file({json.dumps(file)}).save_pretrained("
    return f"python -c {shlex.quote(code + json.dumps('converted/vae') + ')')}"


def single_file_advice(folder: Path) -> str:
    """Return how to convert the first file of a known kind in ``folder``, in one sentence; empty if there is none."""
    for file in sorted(folder.glob("*.safetensors")):
        if name := class_of(file):
            return (
                f"{file} is a whole model in one file. Convert its autoencoder, once, with the hub in reach: "
                f"{convert_line(name, str(file))} and take model.checkpoint=converted model.subfolder=vae"
            )
    return ""


def foreign_class(name: str) -> str:
    """Describe a class in ``config.json`` that diffusers does not read, and what to do; empty for any other class."""
    if name == "CausalVideoAutoencoder":
        return (
            f"{name}, the layout of Lightricks' own code. Convert its single file to that of diffusers: "
            f"{convert_line('AutoencoderKLLTXVideo', 'FILE.safetensors')} and take model.checkpoint=converted "
            "model.subfolder=vae"
        )
    if name.startswith("Flax"):
        torch = "Take those for PyTorch, often in the branch main (model.revision=main)"
        return f"{name}, whose weights are for Flax. {torch}"
    return ""
