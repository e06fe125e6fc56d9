"""Tests of ``analyze`` with a sample of rows: every row is streamed, locally or on a Ray cluster, in memory or not."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foresight_cli.experiments.warnings import outside
from foresight_cli.latents import Entry, entries, join, load
from foresight_cli.metrics import linear_cka
from foresight_cli.results import Analysis, Estimate, load_results
from tests.conftest import commands_in, user_env

WORDS = (
    *("analyze", "source=pixels", "target=histogram", "layer=final"),
    *("max_rows=300", "permutations=19", "controls=[]", "verdict.controls=waived"),
)


@pytest.fixture(scope="module")
def cached(tmp_path_factory) -> Path:
    """Return a folder with two spaces of different models over 640 drawings, in shards of different sizes."""
    place = tmp_path_factory.mktemp("cached")
    for words in (["model=pixels", "rows_per_shard=50"], ["model=histogram", "rows_per_shard=70"]):
        foresight(place, "extract", *words, "pooling=flat", "data.size=32", "data.per_category=80")
    return place


def foresight(place: Path, *words: str) -> str:
    with commands_in(place) as run:
        done = run(*words)
    assert done.exit_code == 0, done.output
    return done.output


def analysis(place: Path, name: str, *words: str) -> tuple[Analysis, str]:
    output = foresight(place, *WORDS, f"hydra.run.dir={name}", *words)
    results = load_results(place / name / "results.yaml")
    assert isinstance(results, Analysis)
    return results, output


@pytest.fixture(scope="module")
def local(cached) -> Analysis:
    results, output = analysis(cached, "local")
    assert "every row: 640 samples in 13 shards" in output
    return results


def entry(cached: Path, model: str) -> Entry:
    (folder,) = (cached / "outputs/cache" / model).glob("*/*/*")
    return Entry.open(folder)


def test_it_equals_the_result_of_all_rows_in_memory(cached, local):
    x, y = join(load(entry(cached, "pixels")), load(entry(cached, "histogram")))
    assert local.whole is not None
    assert (local.whole.rows, local.whole.left_out) == (640, 0)
    assert local.whole.cka == pytest.approx(linear_cka(x.values, y.values), rel=1e-8)
    assert local.rows == 300
    assert local.whole.r2.value == pytest.approx(local.chosen_pair.r2.value, abs=0.2)


def test_none_where_every_row_is_scored_or_none_is_wanted(cached):
    results, _ = analysis(cached, "all", "max_rows=5000")
    assert results.whole is None
    results, _ = analysis(cached, "unwanted", "every_row=false")
    assert results.whole is None


def test_the_report_has_it(cached, local, no_figures):
    foresight(cached, "report", "run=local", "hydra.run.dir=reported")
    for page in ("FINDINGS.md", "report.html"):
        assert "On every row (640): R² " in (cached / "reported" / page).read_text()
    assert "\nlocal,every row,pixels," in (cached / "reported" / "results.csv").read_text()


def test_rows_that_do_not_fit_in_memory(cached, local, monkeypatch):
    monkeypatch.setattr("foresight_cli.inputs.opening.IN_MEMORY_GB", 0)
    results, output = analysis(cached, "little", "controls=[mean_rgb]")
    cached_entries = entries(cached / "outputs/cache")
    (control,) = [entry for entry in cached_entries if entry.recipe.model.get("resolution") == 1]
    assert control.recipe.rows == 300  # only the drawn pictures were read for it
    assert "640 samples are more than fit in memory: 300 of them are drawn and read" in output
    assert results.duplicates.rows == 640
    assert results.rows == 300
    assert results.whole is not None
    assert local.whole is not None
    assert results.whole.cka == pytest.approx(local.whole.cka, rel=1e-10)
    assert results.chosen_pair.r2.value == pytest.approx(local.chosen_pair.r2.value, rel=1e-9)
    assert results.duplicates == local.duplicates


def test_a_ray_cluster_gives_the_same_to_ten_digits(cached, local):
    pytest.importorskip("ray")
    words = [*WORDS, "hydra.run.dir=ray", "runner=ray", "runner.address=local", "runner.workers=2"]
    done = subprocess.run(
        [sys.executable, "-m", "foresight_cli", *words], cwd=cached, env=user_env(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Ray: 2 pieces on " in done.stdout
    results = load_results(cached / "ray/results.yaml")
    assert isinstance(results, Analysis)
    single, cluster = (json.loads(json.dumps(each.whole, default=vars)) for each in (local, results))
    assert single.keys() == cluster.keys()
    for key in ("cka", "cka_biased", "source_effective_rank", "target_effective_rank"):
        assert cluster[key] == pytest.approx(single[key], rel=1e-10)
    assert cluster["r2"]["value"] == pytest.approx(single["r2"]["value"], rel=1e-10)
    assert np.array_equal(single["source_pca_dimensions"], cluster["source_pca_dimensions"])
    assert results.chosen_pair.r2.value == local.chosen_pair.r2.value


@pytest.mark.parametrize(
    ("r2", "cka", "warnings"),
    [(0.5, 0.5, 0), (0.9, 0.5, 0), (0.1, 0.5, 1), (0.5, 0.9, 1), (0.5, 0.1, 1), (0.1, 0.1, 2)],
)
def test_a_number_outside_the_interval_of_the_drawn_rows_is_a_warning(local, r2, cka, warnings):
    assert local.whole is not None
    pair = replace(local.chosen_pair, r2=Estimate(0.5, 0.4, 0.6), cka=Estimate(0.5, 0.4, 0.6))
    drawn = replace(local, pairs=[pair])
    whole = replace(local.whole, r2=Estimate(r2, r2, r2), cka=cka)
    lines = outside(drawn, whole)
    assert len(lines) == warnings
    assert all(
        "outside the interval [0.400, 0.600] of the 300 that were scored: raise max_rows" in line for line in lines
    )
