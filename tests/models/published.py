"""Copies of the shipped small checkpoints, with the differences that published checkpoints have."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from foresight_cli.config import LTXVConfig
from foresight_cli.data.clip import Clip
from foresight_cli.errors import ForesightError
from foresight_cli.models import LatentModel, Tap, open_model
from foresight_cli.models.checkpoint import TINY
from tests.builders import qwen_model

WEIGHTS = {"qwen25vl": "model.safetensors", "ltxv": "vae/diffusion_pytorch_model.safetensors"}
Weights = dict[str, torch.Tensor]


def tiny(folder: Path, model: str = "qwen25vl") -> Path:
    """Copy the shipped checkpoint of ``model`` to ``folder``."""
    return Path(shutil.copytree(TINY / model, folder))


def set_config(file: Path, **changes: Any) -> None:
    """Set values in a JSON file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def rewrite(file: Path, change: Callable[[Weights], Mapping[str, torch.Tensor]]) -> Weights:
    """Replace the weights of a safetensors file, and return the former ones."""
    weights = load_file(file)
    save_file(dict(change(dict(weights))), file, metadata={"format": "pt"})
    return weights


def split(file: Path, index: str | None = None, shards: int = 2) -> list[Path]:
    """Write a single file as shards with an index, and return the shards."""
    weights, names = load_file(file), sorted(load_file(file))
    stem = file.name.removesuffix(".safetensors")
    each, where = -(-len(names) // shards), {}
    for k in range(shards):
        shard = f"{stem}-{k + 1:05}-of-{shards:05}.safetensors"
        part = {name: weights[name] for name in names[k * each : (k + 1) * each]}
        save_file(part, file.with_name(shard), metadata={"format": "pt"})
        where |= dict.fromkeys(part, shard)
    text = json.dumps({"metadata": {"total_size": 1}, "weight_map": where})
    file.with_name(index or f"{file.name}.index.json").write_text(text)
    file.unlink()
    return sorted(file.parent.glob(f"{stem}-*.safetensors"))


def qwen(folder: Path, **changes) -> LatentModel:
    return open_model(qwen_model(folder, **changes))


def ltxv(folder: Path, **changes) -> LatentModel:
    values = {"subfolder": "vae", "resolution": 64, "sample": False, "seed": 0, "normalize": False}
    plain = LTXVConfig("ltxv", str(folder), None, "float32", "pretrained", 0, **values)
    return open_model(dataclasses.replace(plain, **changes))


def refusals(model: LatentModel) -> set[str]:
    """Return the message of the check before a run, and that of loading."""
    messages = set()
    for step in (model.check_weights, lambda: model.load("cpu")):
        with pytest.raises(ForesightError) as caught:
            step()
        messages.add(str(caught.value))
    return messages


def latents(model: LatentModel, layer: str) -> torch.Tensor:
    model.check_weights()
    model.load("cpu")
    tap = Tap(layer, "channel_mean")
    ramp = Image.linear_gradient("L").convert("RGB").resize((64, 64))
    return model.features([model.prepare(Clip((ramp,)), "a")], [tap])[tap]
