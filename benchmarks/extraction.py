"""Extraction against a bare forward pass, and against the Q1 study's script."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.timing import Row, alone, in_turn
from foresight_cli.config import Qwen25VLConfig
from foresight_cli.data.shapes import Shapes
from foresight_cli.latents import Entry, Recipe
from foresight_cli.models import Tap
from foresight_cli.models.qwen25vl import Qwen25VL
from foresight_cli.runners.local import fill

LAYERS = ("4", "8", "16", "24", "final")
IMAGES, BATCH = 128, 16


def rows(runs: int) -> list[Row]:
    """Every row of this file."""
    dataset = Shapes("default", IMAGES // 8, seed=0, size=256)
    model = _tiny()
    ours = lambda: _foresight(model, dataset)  # noqa: E731
    return [
        Row(
            f"extract {IMAGES} pictures, tiny VLM, 5 layers x 2 poolings, decode to disk",
            *_with("the Q1 study's way: one picture at a time, all hidden states and logits kept",
                   in_turn(ours, lambda: _study(model, dataset), runs)),
            goal=3.0,
        ),
        Row(
            "the same",
            *_with(f"bare forward of the network in batches of {BATCH}, inputs ready, nothing kept",
                   in_turn(ours, lambda: _bare(model, _inputs(model, dataset)), runs)),
            goal=0.7,
            note="ours also draws, resizes, hashes and writes; theirs only prepares inputs and runs the network",
        ),
        Row("foresight extract, already in the cache (whole process)", alone(_cached(), runs), "2 s", None, 2.0),
        Row("foresight --help (whole process)", alone(_help, runs), "0.3 s", None, 0.3),
    ]  # fmt: skip


def _with(alternative: str, seconds: tuple[float, float]) -> tuple[float, str, float]:
    return seconds[0], alternative, seconds[1]


def _tiny() -> Qwen25VL:
    config = Qwen25VLConfig("qwen25vl", "tiny:qwen25vl", None, "float32", 112, "image", "Describe.", True)
    model = Qwen25VL(config)
    model.load("cpu")
    return model


def _foresight(model: Qwen25VL, dataset: Shapes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        entries = {}
        for layer in LAYERS:
            for pooling in ("channel_mean", "flat"):
                recipe = Recipe(model.recipe(layer), layer, pooling, dataset.identity(), len(dataset.samples), 256)
                entries[Tap(layer, pooling)] = Entry.create(Path(folder), recipe)
        fill(entries, dataset, model, batch_size=BATCH, skip_undecodable=False, on_shard=lambda *_: None)


def _inputs(model: Qwen25VL, dataset: Shapes) -> list:
    return [model.prepare(dataset.image(i), str(i)) for i in range(len(dataset.samples))]


def _arguments(model: Qwen25VL, batch: list) -> dict[str, torch.Tensor]:
    ids = torch.stack([p.tensors["input_ids"] for p in batch])
    return {
        "input_ids": ids,
        "pixel_values": torch.cat([p.tensors["pixel_values"] for p in batch]),
        "image_grid_thw": torch.stack([p.tensors["image_grid_thw"] for p in batch]),
        "mm_token_type_ids": (ids == model._image_id).int(),
    }


def _bare(model: Qwen25VL, inputs: list) -> None:
    assert model._network is not None
    with torch.inference_mode():
        for start in range(0, len(inputs), BATCH):
            model._network.model(**_arguments(model, inputs[start : start + BATCH]), use_cache=False)


def _study(model: Qwen25VL, dataset: Shapes) -> None:
    """Reload nothing, so as to time the loop alone: one picture, every hidden state, the logits, one mean a layer."""
    assert model._network is not None
    with torch.inference_mode():
        for i in range(len(dataset.samples)):
            one = [model.prepare(dataset.image(i), str(i))]
            out = model._network(**_arguments(model, one), output_hidden_states=True, use_cache=False)
            [out.hidden_states[k].mean(dim=1) for k in (4, 8, 16, 24, -1)]


def _cached() -> object:
    folder = tempfile.mkdtemp()
    command = [sys.executable, "-m", "foresight_cli", "extract", "weights=tiny", "layer=all", "pooling=all"]
    return lambda: subprocess.run(command, cwd=folder, check=True, capture_output=True)


def _help() -> None:
    subprocess.run([sys.executable, "-m", "foresight_cli", "--help"], check=True, capture_output=True)
