"""Tests of the example and of the table in docs/streaming.md."""

import re
from pathlib import Path

import pytest
import torch

from foresight_cli.latents import Entry, Shard
from foresight_cli.metrics import linear_cka, rsa
from foresight_cli.metrics.streaming import __all__ as names
from scripts.make_golden_entry import GOLDEN

DOC = (Path(__file__).resolve().parents[3] / "docs" / "streaming.md").read_text(encoding="utf-8")


def test_the_example_over_cached_shards(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", DOC, flags=re.DOTALL)
    example: dict = {}
    exec(compile(code, "docs/streaming.md", "exec"), example)
    (golden,) = (GOLDEN / "format-1").glob("*/*/*/*")
    source = Entry.open(golden)
    target = Entry.create(tmp_path, source.recipe)
    generator = torch.Generator().manual_seed(0)
    for number, shard in enumerate(source.shards()):
        target.put(number, Shard(shard.ids, torch.randn(len(shard.ids), 5, generator=generator), shard.pixels))
    x, y = (torch.cat([shard.latents for shard in entry.shards()]) for entry in (source, target))
    assert source.recipe.shards == 2
    for workers in (1, 2):
        cka, probe, correlation = example["merged"](golden, target.path, workers)
        assert float(cka.compute()) == pytest.approx(linear_cka(x, y), abs=1e-10)
        assert correlation.compute().rsa == pytest.approx(rsa(x, y), abs=1e-12)
        assert probe.seen == 8
    other = Entry.create(tmp_path / "other", source.recipe)
    for number, shard in enumerate(source.shards()):
        other.put(number, Shard([*shard.ids[1:], "new"], shard.latents, shard.pixels))
    with pytest.raises(SystemExit, match="shard 0 holds different samples: extract both models on the same data"):
        example["merged"](golden, other.path, 1)


def test_every_measure_is_in_the_table():
    measures = {name for name in names if name[0].isupper()} - {
        "MomentsResult",
        "StreamedPair",
        "StreamedProbe",
        "StreamedRSA",
    }
    assert set(re.findall(r"`(\w+)\([^`]*\)`", DOC.split("## ")[0])) - {"linear_probe"} == measures
