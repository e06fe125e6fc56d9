"""``foresight adapt``: training, held-out scores, resuming, refusals and sweeps."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from foresight_cli.adapters import load_adapter
from foresight_cli.latents import Entry, load
from foresight_cli.results import load_results
from tests.commands import PAIR, newest, refused, typed
from tests.conftest import user_env
from tests.extraction.runners.watching import until

QUICK = ("adapter.epochs=4", "seeds=2")


@pytest.mark.parametrize("adapter", ["linear", "lowrank", "mlp"])
def test_train_score_save_and_load(cached, tmp_path, adapter):
    typed(cached, "adapt", *PAIR, f"adapter={adapter}", *(QUICK if adapter == "mlp" else ()))
    folder = newest(tmp_path)
    results = load_results(folder / "results.yaml")
    own, mean, ridge, _, shuffled = results.scores
    assert [s.name for s in results.scores] == [adapter, "mean", "ridge", "nearest", "shuffled"]
    assert sum(results.rows.values()) == 240
    assert mean.r2.value == 0
    assert own.r2.value > shuffled.r2.value
    assert shuffled.r2.value < 0.1
    assert results.r2_train > own.r2.value
    assert own.r2.low < own.r2.value < own.r2.high
    assert own.recall["10"] > results.chance["10"]
    if adapter == "linear":
        assert own.r2.value == pytest.approx(ridge.r2.value, abs=1e-5)
        assert (own.parameters, ridge.outcome) == (ridge.parameters, "tie")
    if adapter == "lowrank":
        rank = results.shape["rank"]
        assert own.parameters == rank * (192 + 64) + 64 < ridge.parameters
    if adapter == "mlp":
        assert [run.seed for run in results.seeds] == [0, 1]
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for run in results.seeds:
            epochs = [line for line in lines if line["run"] == f"seed-{run.seed}"]
            assert len(epochs) == run.epochs
            assert min(epochs, key=lambda e: e["validation"])["number"] == run.best_epoch
        assert results.saved_seed == max(results.seeds, key=lambda run: run.r2_validation).seed
    (entry,) = (tmp_path / "outputs/cache/pixels/layer-final/flat").iterdir()
    latents = load(entry).values
    with torch.no_grad():
        assert load_adapter(folder)(latents).shape == (240, 64)
    assert (folder / "README.md").read_text().startswith("---\nlibrary_name: foresight\n")


def test_the_saved_adapter_has_the_scores_that_are_reported(cached, tmp_path):
    """Recompute R2 from the files: the split by hand, the mean of the training rows, the loaded adapter."""
    typed(cached, "adapt", *PAIR, "adapter=linear")
    folder = newest(tmp_path)
    x, y = (load(next((tmp_path / "outputs/cache" / name).glob("layer-final/*/*"))) for name in ("pixels", "histogram"))
    x = load(next((tmp_path / "outputs/cache/pixels/layer-final/flat").iterdir()))
    names, codes = np.unique(x.groups, return_inverse=True)
    order = np.random.default_rng(0).permutation(len(names))
    place = np.empty(len(names), int)
    place[order] = np.arange(len(names))
    train, test = place[codes] < round(0.6 * len(names)), place[codes] >= round(0.8 * len(names))
    with torch.no_grad():
        residual = (load_adapter(folder)(x.values[test]) - y.values[test]).double().square().sum()
    mean = y.values[train].double().mean(dim=0)
    r2 = 1 - float(residual / (y.values[test] - mean).square().sum())
    assert load_results(folder / "results.yaml").scores[0].r2.value == pytest.approx(r2, abs=1e-6)


def test_the_same_command_gives_the_same_weights(cached, tmp_path):
    typed(cached, "adapt", *PAIR, *QUICK)
    first = newest(tmp_path)
    typed(cached, "adapt", *PAIR, *QUICK)
    second = newest(tmp_path)
    assert first != second
    for name in ("adapter.safetensors", "config.json", "README.md", "results.yaml", "metrics.jsonl"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_latents_larger_than_memory_give_the_same_adapter(cached, tmp_path):
    """Also with sums over columns: pooled pixels have fewer columns than rows."""
    pair = ("source=pixels", "target=histogram")
    outputs = [typed(cached, "adapt", *pair, *QUICK, memory).output for memory in ("memory_gb=4", "memory_gb=5e-5")]
    assert "are read from the cache as they are needed" not in outputs[0]
    assert "latents of 8.7e-05 GB are read from the cache as they are needed (memory_gb=5e-05)" in outputs[1]
    first, second = sorted((p.parent for p in tmp_path.glob("outputs/adapt/*/*/results.yaml")), key=str)
    assert (first / "adapter.safetensors").read_bytes() == (second / "adapter.safetensors").read_bytes()
    whole, streamed = load_results(first / "results.yaml"), load_results(second / "results.yaml")
    for a, b in zip(whole.scores, streamed.scores, strict=True):
        assert a.r2.value == pytest.approx(b.r2.value, abs=1e-9)


def test_a_ridge_that_is_too_large_stops_no_other_adapter(cached, tmp_path):
    needed = (
        "a closed form of 144 rows from 192 to 64 values takes 0.00059 GB: allow it with memory_gb=1, "
        "or pool the source with source.pooling=channel_mean"
    )
    assert refused(cached, "adapt", *PAIR, "adapter=linear", "memory_gb=0.0002") == needed
    result = typed(cached, "adapt", *PAIR, *QUICK, "memory_gb=0.0002")
    assert f"no ridge baseline to compare with: {needed}" in result.output
    results = load_results(newest(tmp_path) / "results.yaml")
    assert [score.name for score in results.scores] == ["mlp", "mean", "nearest", "shuffled"]
    assert results.attributes
    assert not results.attributes_ridge


def test_a_killed_run_resumes_and_ends_the_same(cached, tmp_path):
    words = ("adapt", *PAIR, "adapter.epochs=40", "adapter.patience=40", "seeds=2")
    process = subprocess.Popen(
        [sys.executable, "-m", "foresight_cli", *words], cwd=tmp_path, env=user_env(), stderr=subprocess.PIPE, text=True
    )
    unfinished = tmp_path / "outputs/adapt/unfinished"
    until(lambda: list(unfinished.glob("*/seed-1.safetensors")), process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert list(unfinished.glob("*/seed-0.safetensors"))
    result = typed(cached, *words)
    assert "resuming seed-0 after epoch 40" in result.output
    assert "resuming seed-1 after epoch " in result.output
    resumed = newest(tmp_path)
    assert not list(unfinished.iterdir())
    typed(cached, *words)
    whole = newest(tmp_path)
    assert whole != resumed
    for name in ("adapter.safetensors", "results.yaml", "metrics.jsonl"):
        assert (whole / name).read_bytes() == (resumed / name).read_bytes()


def test_an_adapter_over_the_budget_is_refused_before_training(cached):
    assert refused(cached, "adapt", *PAIR, "adapter.max_parameters=1000", code=2) == (
        "adapter=mlp from 192 to 64 values has 131,648 parameters, over adapter.max_parameters=1,000. "
        "Take adapter.hidden=2, or raise adapter.max_parameters=. Type: foresight adapt source=pixels target=histogram "
        "source.pooling=flat adapter.max_parameters=1000 adapter.hidden=2"
    )


def test_divergence_names_the_rate_and_saves_no_adapter(cached, tmp_path):
    message = refused(cached, "adapt", *PAIR, "adapter.lr=1", "adapter.weight_decay=1e30", "seeds=1")
    assert message.startswith("training diverged in epoch 1: the loss is ")
    assert message.endswith(" with adapter.lr=1. Try adapter.lr=0.1")
    assert not list(tmp_path.glob("outputs/adapt/*/*/adapter.safetensors"))


def test_too_few_groups(run, tmp_path):
    for model in ("pixels", "histogram"):
        typed(run, "extract", f"model={model}", "data.per_category=2", "data.size=32")
    assert refused(run, "adapt", "source=pixels", "target=histogram") == (
        "only 16 pictures: at least 20 are needed to analyze or adapt, and 100 for a verdict. Add more pictures"
    )


def test_a_part_with_too_few_rows(cached):
    assert refused(cached, "adapt", *PAIR, "split=[0.99,0.005,0.005]") == (
        "split=[0.99, 0.005, 0.005] leaves 1 validation rows of 240: wanted 3 or more, so give it a larger share"
    )


def own_latents(folder, name, values, first=0):
    ids = [f"a{first + i:03d}" for i in range(len(values))]
    np.savez(folder / f"{name}.npz", values=values, ids=ids)


def test_the_two_sides_hold_different_samples(run, tmp_path):
    rng = np.random.default_rng(0)
    for name, first in (("x", 0), ("y", 3)):
        own_latents(tmp_path, name, rng.standard_normal((40, 4), dtype=np.float32), first)
        typed(run, "extract", "model=precomputed", f"model.path={name}.npz")
    sides = ("source=precomputed", "target=precomputed", "source.model.path=x.npz", "target.model.path=y.npz")
    assert refused(run, "adapt", *sides, "adapter=linear") == (
        "source=precomputed is cached on data=precomputed data.path=x.npz, target=precomputed on data=precomputed "
        "data.path=y.npz, and y.npz has no row for 3 of 40 samples, such as 'a000'"
    )


@pytest.mark.parametrize("memory", ["memory_gb=4", "memory_gb=0.0002"])
def test_targets_that_are_not_finite_are_refused_by_name(cached, tmp_path, memory):
    (folder,) = (tmp_path / "outputs/cache/histogram").glob("layer-final/*/*")
    entry = Entry.open(folder)
    manifest = entry.manifest()
    ((path, shard),) = entry.located()
    shard.latents[7, 3] = torch.nan
    path.unlink()
    (folder / "manifest.json").unlink()
    entry.put(0, shard)
    entry.seal(manifest["provenance"])
    assert refused(cached, "adapt", *PAIR, memory) == (
        f"the target's latents of {shard.ids[7]!r} are not finite (1 such rows in {folder.relative_to(tmp_path)}). "
        "Leave those samples out of the data"
    )


def test_more_than_one_layer_is_a_sweep(cached):
    assert refused(cached, "adapt", *PAIR, "source.layer=all", code=2) == (
        "adapt takes one layer and one pooling of the source: source.layer=final source.pooling=flat. "
        "To try several, add -m and separate them with commas: source.pooling=channel_mean,flat"
    )


def test_query_needs_positions_in_the_target(cached):
    assert refused(cached, "adapt", *PAIR, "adapter=query", code=2) == (
        "adapter=query gives each place of the target a query: add target.pooling=flat (or pooling=flat)"
    )


def test_a_sweep_over_adapters(cached, tmp_path):
    typed(cached, "adapt", "-m", *PAIR, "adapter=linear,mlp", "seed=0,1", "seeds=1", "adapter.max_parameters=200000")
    assert len(list(tmp_path.glob("outputs/adapt/multirun/*/*/*/results.yaml"))) == 4
