"""Results are saved before the work that only figures need; a failure in that work is reported by name."""

from __future__ import annotations

import numpy as np
import pytest

from foresight_cli.errors import ForesightError
from foresight_cli.experiments import figure_arrays
from foresight_cli.results import load_arrays, load_results

ANALYZE = ("analyze", "source=precomputed", "source.model.path=a.npz", "target=precomputed", "target.model.path=b.npz",
           "verdict.controls=waived", "permutations=19")  # fmt: skip


@pytest.fixture
def cached(run, tmp_path):
    """Cache two spaces of 60 rows, one of them at a scale whose squares overflow single precision."""
    rng = np.random.default_rng(0)
    z, ids = rng.standard_normal((60, 3)), np.array([f"s{i}" for i in range(60)])
    for name, width, scale in (("a", 5, 1e37), ("b", 4, 1e-38)):
        values = (z @ rng.standard_normal((3, width)) * scale).astype(np.float32)
        np.savez(tmp_path / f"{name}.npz", ids=ids, values=values)
    for name in "ab":
        words = ("extract", "model=precomputed", f"model.path={name}.npz", "data=precomputed", "data.path=a.npz")
        assert run(*words).exit_code == 0
    return run


def only(tmp_path, name):
    (path,) = tmp_path.glob(f"outputs/*/*/*/{name}")
    return path


def test_extreme_scales_are_drawn(cached, tmp_path):
    assert cached(*ANALYZE).exit_code == 0
    results, arrays = load_results(only(tmp_path, "results.yaml")), load_arrays(only(tmp_path, "figures.safetensors"))
    assert results.chosen_pair.r2.value == pytest.approx(1, abs=1e-3)
    for i in range(2):
        assert np.isfinite(arrays[f"tsne/{i}"]).all()


def test_a_crash_in_the_work_for_figures_leaves_the_results(cached, tmp_path, monkeypatch):
    """For example a crash of Python itself; the report works without the arrays."""

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(figure_arrays, "tsne", crash)
    assert cached(*ANALYZE).exit_code == 130
    results = load_results(only(tmp_path, "results.yaml"))
    assert results.chosen_pair.r2.value == pytest.approx(1, abs=1e-3)
    assert not list(tmp_path.glob("outputs/*/*/*/figures.safetensors"))
    result = cached("report")
    assert result.exit_code == 0
    assert "has no figures.safetensors, so figures that need it are left out" in result.output


def test_a_failure_on_every_row_leaves_the_earlier_results(cached, tmp_path, monkeypatch):
    def fail(*_):
        raise ForesightError("the cluster is gone")

    monkeypatch.setattr("foresight_cli.analyze.with_every_row", fail)
    result = cached(*ANALYZE)
    assert (result.exit_code, result.output.splitlines()[-1]) == (1, "foresight analyze: the cluster is gone")
    assert load_results(only(tmp_path, "results.yaml")).chosen_pair.r2.value == pytest.approx(1, abs=1e-3)
    assert "tsne/0" in load_arrays(only(tmp_path, "figures.safetensors"))


def test_a_failure_in_the_work_for_figures_is_named(cached, tmp_path, monkeypatch):
    def fail(*_):
        raise MemoryError("no room for it\nat all")

    monkeypatch.setattr(figure_arrays, "tsne", fail)
    result = cached(*ANALYZE)
    assert result.exit_code == 0
    lines = [f"figure tsne of {name} final channel_mean could not be drawn: no room for it" for name in "ab"]
    warnings = load_results(only(tmp_path, "results.yaml")).warnings
    assert cached("report").exit_code == 0
    for line in lines:
        assert result.output.splitlines().count(f"warning: {line}") == 1
        assert warnings.count(line) == 1
        for page in ("FINDINGS.md", "report.html"):
            assert line in only(tmp_path, page).read_text().replace("\\", "")
