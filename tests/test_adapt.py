import json
from pathlib import Path

import pytest
import torch

from foresight_cli.adapters import load_adapter
from foresight_cli.latents import load
from foresight_cli.results import load_results

DATA = ("data.per_category=30", "data.size=64")
PAIR = ("source=pixels", "target=histogram", "source.pooling=flat")


def typed(run, *args):
    result = run(*args)
    assert result.exit_code == 0, result.output
    return result


def newest(folder: Path) -> Path:
    return max(folder.glob("outputs/adapt/*/*/results.yaml"), key=lambda p: p.stat().st_mtime).parent


@pytest.fixture
def cached(run):
    typed(run, "extract", "model=pixels", "pooling=all", *DATA)
    typed(run, "extract", "model=histogram", *DATA)
    return run


@pytest.mark.parametrize("adapter", ["linear", "mlp"])
def test_train_score_save_and_load(cached, tmp_path, adapter):
    typed(cached, "adapt", *PAIR, f"adapter={adapter}")
    folder = newest(tmp_path)
    results = load_results(folder / "results.yaml")
    own, mean, ridge, shuffled = results.scores
    assert [s.name for s in results.scores] == [adapter, "mean", "ridge", "shuffled"]
    assert sum(results.rows.values()) == 240
    assert mean.r2 == 0
    assert own.r2 > shuffled.r2
    assert shuffled.r2 < 0.1
    assert results.r2_train > own.r2
    if adapter == "linear":
        assert (own.r2, own.parameters) == (pytest.approx(ridge.r2, abs=1e-5), ridge.parameters)
    else:
        epochs = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        assert len(epochs) == results.epochs
        assert min(epochs, key=lambda e: e["validation"])["number"] == results.best_epoch
    (entry,) = (tmp_path / "outputs/cache/pixels/layer-final/flat").iterdir()
    latents = load(entry).values
    with torch.no_grad():
        assert load_adapter(folder)(latents).shape == (240, 64)


def test_the_same_command_gives_the_same_weights(cached, tmp_path):
    typed(cached, "adapt", *PAIR, "adapter.epochs=3")
    first = newest(tmp_path)
    typed(cached, "adapt", *PAIR, "adapter.epochs=3")
    second = newest(tmp_path)
    assert first != second
    for name in ("adapter.safetensors", "config.json", "results.yaml", "metrics.jsonl"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_an_adapter_over_the_budget_is_refused_before_training(cached):
    result = cached("adapt", *PAIR, "max_parameters=1000")
    assert result.exit_code == 2
    assert result.output.splitlines()[-1] == (
        "foresight adapt: adapter=mlp from 192 to 64 values has 131,648 parameters, over max_parameters=1,000. "
        "Take a smaller one, or raise max_parameters="
    )


def test_a_sweep_over_adapters(cached, tmp_path):
    typed(cached, "adapt", "-m", *PAIR, "adapter=linear,mlp", "seed=0,1")
    assert len(list(tmp_path.glob("outputs/adapt/multirun/*/*/*/results.yaml"))) == 4
