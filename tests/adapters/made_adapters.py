"""Small adapters of every kind with random weights, and recipes that they could have been trained on."""

from __future__ import annotations

import torch
import yaml

from foresight_cli.adapters import open_adapter
from foresight_cli.config import GROUPS
from foresight_cli.config.tree import conf_dir
from foresight_cli.latents import Recipe

KINDS = sorted(GROUPS["adapter"])
SHAPES = {"lowrank": {"rank": 3}, "query": {"source_width": 3, "target_channels": 2}}


def drawn(kind="linear", source_dim=6, target_dim=4):
    """Return an adapter with the shipped settings of ``kind``; all tensors are random, so that no two are equal."""
    settings = yaml.safe_load((conf_dir() / "adapter" / f"{kind}.yaml").read_text(encoding="utf-8"))
    config = GROUPS["adapter"][kind](**settings)
    adapter = open_adapter(config, source_dim, target_dim, **SHAPES.get(kind, {})).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in adapter.state_dict().values():
            value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    return adapter


def rows(n=20, width=6):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(1))


def recipe(**changes):
    model = {
        "name": "qwen25vl",
        "checkpoint": "ada/qwen",
        "revision": "c0ffee",
        "prompt": "Describe.",
        "resolution": 56,
    }
    return Recipe(
        model={**model, **changes.pop("model", {})},
        layer=changes.pop("layer", "8"),
        pooling=changes.pop("pooling", "channel_mean"),
        data=changes.pop("data", {"name": "shapes", "seed": 0}),
        rows=changes.pop("rows", 90),
        rows_per_shard=32,
    )


def recipes():
    target = recipe(model={"name": "ltxv", "checkpoint": "local", "sha256": "ab"}, layer="final", pooling="flat")
    return {"source": recipe().to_dict(), "target": target.to_dict()}
