"""Benchmarks of extraction against bare forward passes of the same network, and against the Q1 study's script."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.timing import Row, in_turn
from foresight_cli.config import Qwen25VLConfig
from foresight_cli.data.imagefolder import ImageFolder
from foresight_cli.data.shapes import Shapes
from foresight_cli.extraction.batching import BatchSize
from foresight_cli.extraction.filling import fill
from foresight_cli.latents import Entry, Recipe
from foresight_cli.models import Prepared, Tap
from foresight_cli.models.checkpoint import TINY
from foresight_cli.models.qwen25vl import Qwen25VL

LAYERS = ("4", "8", "16", "24", "final")
BATCH, SHARDS = 16, 4


def rows(runs: int) -> list[Row]:
    """Measure every row of this section."""
    small, large = _photographs(512, side=112), _photographs(64, side=224)
    tiny, wide = _loaded("tiny:qwen25vl", "pretrained", side=112), _wide(side=224)
    study, bare = "the Q1 study's way: one picture at a time, all hidden states and logits kept", "bare forward"
    ready = f"of the network in batches of {BATCH}, inputs ready, nothing kept"
    remark = "ours also decodes, prepares, hashes and writes, on the same cores; theirs only runs the network"
    measured = []
    for model, name, data, goal in (
        (tiny, "112 x 112, tiny VLM", small, 0.7),
        (wide, "224 x 224, VLM of 28 layers, 512 wide", large, 0.95),
    ):
        what = f"extract {len(data.samples)} JPEG of {name}, 5 layers x 2 poolings, decode to disk in {SHARDS} shards"
        ours = lambda model=model, data=data: _foresight(model, data, LAYERS)  # noqa: E731
        inputs = _inputs(model, data)
        with_study = in_turn(ours, lambda model=model, data=data: _study(model, data), runs)
        with_bare = in_turn(ours, lambda model=model, inputs=inputs: _bare(model, inputs), runs)
        bound = "" if model is tiny else "one picture of 64 tokens keeps two cores busy: batches gain little on a CPU"
        measured += [
            Row(what, with_study[0], study, with_study[1], goal=3.0, note=bound),
            Row("the same", with_bare[0], f"{bare} {ready}", with_bare[1], goal=goal, note=remark),
        ]
    every, last = in_turn(lambda: _foresight(wide, large, LAYERS), lambda: _foresight(wide, large, ("final",)), runs)
    fourth, none = in_turn(lambda: _foresight(wide, large, ("4",)), lambda: _foresight(wide, large, ("0",)), runs)
    return [
        *measured,
        Row("layer=all pooling=all, 512 wide", every, "layer=final pooling=all", last, goal=1.1, cost=True),
        Row(
            "layer=4 pooling=all, 512 wide",
            fourth,
            "layer.index=0 (vision alone) and 4/28 of the decoder",
            none + 4 / 28 * (last - none),
            goal=1.15,
            cost=True,
        ),
    ]


def _photographs(count: int, side: int) -> ImageFolder:
    """Save ``count`` drawings as JPEG files of the network's input size."""
    folder = Path(tempfile.mkdtemp())
    shapes = Shapes("default", count // 8, seed=0, size=side)
    for i in range(count):
        shapes.image(i).save(folder / f"{i:04d}.jpg", quality=90)
    return ImageFolder(folder)


def _wide(side: int) -> Qwen25VL:
    """Load the tiny checkpoint's tokenizer and processor with a decoder 512 wide, of random weights."""
    folder = Path(tempfile.mkdtemp())
    for file in (TINY / "qwen25vl").glob("*.json*"):
        shutil.copy(file, folder)
    shutil.copy(TINY / "qwen25vl/chat_template.jinja", folder)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"] |= {
        "hidden_size": 512,
        "intermediate_size": 1408,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "rope_parameters": {"mrope_section": [8, 12, 12], "rope_theta": 10000.0, "rope_type": "default"},
    }
    config["vision_config"] |= {"out_hidden_size": 512}
    (folder / "config.json").write_text(json.dumps(config))
    return _loaded(str(folder), "random", side)


def _loaded(checkpoint: str, init: str, side: int) -> Qwen25VL:
    config = Qwen25VLConfig(
        name="qwen25vl",
        checkpoint=checkpoint,
        revision=None,
        dtype="float32",
        init=init,
        init_seed=0,
        resolution=side,
        tokens="image",
        prompt="Describe.",
        final_norm=True,
    )
    model = Qwen25VL(config)
    model.load("cpu")
    return model


def _foresight(model: Qwen25VL, dataset: ImageFolder, layers: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        entries, rows = {}, len(dataset.samples)
        for layer in layers:
            for pooling in ("channel_mean", "flat"):
                recipe = Recipe(model.recipe(layer), layer, pooling, dataset.identity(), rows, rows // SHARDS)
                entries[Tap(layer, pooling)] = Entry.create(Path(folder), recipe)
        left = deque(next(iter(entries.values())).missing())
        size = BatchSize(BATCH, "cpu")
        next_shard = lambda wait: left.popleft() if left else None  # noqa: E731
        fill(entries, next_shard, dataset, model, batch_size=size, skip_undecodable=False)


def _inputs(model: Qwen25VL, dataset: ImageFolder) -> list[Prepared]:
    return [model.prepare(dataset.clip(i), str(i)) for i in range(len(dataset.samples))]


def _arguments(model: Qwen25VL, batch: Sequence[Prepared]) -> dict[str, torch.Tensor]:
    ids = torch.stack([p.tensors["input_ids"] for p in batch])
    assert model._network is not None
    return {
        "input_ids": ids,
        "pixel_values": torch.cat([p.tensors["pixel_values"] for p in batch]),
        "image_grid_thw": torch.tensor([p.shape for p in batch]),
        "mm_token_type_ids": (ids == model._network.config.image_token_id).int(),
    }


def _bare(model: Qwen25VL, inputs: Sequence[Prepared]) -> None:
    assert model._network is not None
    with torch.inference_mode():
        for start in range(0, len(inputs), BATCH):
            model._network.model(**_arguments(model, inputs[start : start + BATCH]), use_cache=False)


def _study(model: Qwen25VL, dataset: ImageFolder) -> None:
    """Run the study's loop, without loading: one picture at a time, all hidden states, logits, a mean per layer."""
    assert model._network is not None
    with torch.inference_mode():
        for i in range(len(dataset.samples)):
            picture = [model.prepare(dataset.clip(i), str(i))]
            out = model._network(**_arguments(model, picture), output_hidden_states=True, use_cache=False)
            [out.hidden_states[k].mean(dim=1) for k in (4, 8, 16, 24, -1)]
