"""``dry_run=true``: the plan of a run, with no model loaded and nothing written."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from foresight_cli.extraction.plan import described
from foresight_cli.extraction.run import extract
from foresight_cli.latents import load
from foresight_cli.models.pixels import Pixels
from tests.builders import SHAPES, pixels, qwen
from tests.models.published import WEIGHTS, rewrite, set_config, tiny


def test_a_plan_of_what_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(Pixels, "load", lambda *_: pytest.fail("the model was loaded"))
    config = pixels(tmp_path, poolings=("channel_mean", "flat"))
    mean, flat, total = described(config).splitlines()
    where = f"{tmp_path}/pixels/layer-final"
    assert mean.startswith(
        f"layer=final channel_mean: 16 rows, 192 bytes of latents, 0 of 2 shards in the cache -> {where}"
    )
    assert flat.startswith(f"layer=final flat: 16 rows, 3.1 kB of latents, 0 of 2 shards in the cache -> {where}/flat/")
    assert total == "pixels would run on 16 of 16 samples (2 shards), once for all layers and poolings"
    assert not list(tmp_path.iterdir())


def test_a_plan_of_what_is_there_in_part(tmp_path):
    config = pixels(tmp_path, poolings=("channel_mean", "flat"))
    mean, flat = extract(config).values()
    plan = described(config).splitlines()
    assert plan[0] == f"layer=final channel_mean: 16 rows, 192 bytes of latents, in the cache -> {mean.path}"
    assert plan[2] == "pixels would not run: all is in the cache"
    flat.shard_files()[1].unlink()
    plan = described(config).splitlines()
    assert plan[1] == f"layer=final flat: 16 rows, 3.1 kB of latents, 1 of 2 shards in the cache -> {flat.path}"
    assert plan[2] == "pixels would run on 8 of 16 samples (1 shard), once for all layers and poolings"


def test_the_bytes_of_the_plan_are_those_of_the_latents(tmp_path, qwen_checkpoint):
    config = qwen(
        tmp_path,
        qwen_checkpoint,
        data=dataclasses.replace(SHAPES, per_category=1),
        layers=None,
        poolings=("channel_mean", "flat"),
        dtype="bfloat16",
    )
    plan = described(config).splitlines()
    assert [line.split()[0] for line in plan[10:]] == ["qwen25vl", "it"]  # the work that would run, and its size
    for line, entry in zip(plan[:10], extract(config).values(), strict=True):
        assert f"8 rows, {load(entry).values.nbytes} bytes of latents" in line.replace("1.0 kB", "1024 bytes").replace(
            "2.0 kB", "2048 bytes"
        )


def test_a_size_that_depends_on_the_picture_is_not_guessed(tmp_path, qwen_checkpoint):
    config = qwen(tmp_path, qwen_checkpoint, resolution=None, poolings=("flat",))
    assert "16 rows, size known once a sample is read, 0 of 2 shards" in described(config)


def test_the_command(run, tmp_path):
    result = run("extract", "model=pixels", "data.per_category=1", "data.size=32", "dry_run=true")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].startswith("pixels would run on 8 of 8 samples (1 shard")
    assert not (tmp_path / "outputs/cache").exists()


def test_a_layer_that_is_not_there(run, qwen_checkpoint):
    result = run("extract", f"model.checkpoint={qwen_checkpoint}", "layer.index=99", "dry_run=true")
    assert (result.exit_code, result.stderr) == (
        2,
        f"foresight extract: {qwen_checkpoint} has no layer 99. It has 0 (the embeddings) to 27, and final\n",
    )


@pytest.mark.parametrize("dry_run", ["true", "false"])
def test_a_checkpoint_that_loading_would_refuse(run, tmp_path, dry_run):
    folder = tiny(tmp_path / "q")
    set_config(folder / "config.json", quantization_config={"quant_method": "awq", "bits": 4})
    words = ("model.checkpoint=q", "model.resolution=112", "data.per_category=1", "data.size=112", f"dry_run={dry_run}")
    result = run("extract", "model=qwen25vl", *words)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        "foresight extract: the checkpoint q is quantised with AWQ (4 bits) (quantization_config in config.json): to "
        "read it, install the package with pip install gptqmodel; or take the checkpoint that is not quantised"
    )
    assert not (tmp_path / "outputs/cache").exists()


@pytest.mark.parametrize("dry_run", ["true", "false"])
def test_a_weight_that_loading_would_leave_out(run, tmp_path, dry_run):
    folder = tiny(tmp_path / "v", "ltxv")
    rewrite(folder / WEIGHTS["ltxv"], lambda weights: weights | {"encoder.extra": torch.ones(2)})
    words = ("model.checkpoint=v", "model.resolution=64", "data.per_category=1", "data.size=64", f"dry_run={dry_run}")
    result = run("extract", "model=ltxv", *words)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        "foresight extract: the checkpoint v holds 1 weight that LTX-Video's autoencoder has no place for, for "
        "instance encoder.extra in diffusion_pytorch_model.safetensors: it is of another kind of model, or of another "
        "version"
    )
    assert not (tmp_path / "outputs/cache").exists()
