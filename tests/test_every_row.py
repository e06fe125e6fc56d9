"""``analyze`` where it draws rows: every row is streamed over, here or on a Ray cluster, in memory or not."""

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
from tests.conftest import user_env

SMALL = ("max_rows=300", "permutations=19", "controls=[]", "verdict.controls=waived", "layer=final")


@pytest.fixture(scope="module")
def cached(tmp_path_factory) -> Path:
    """Two spaces of other models over 640 drawings, in shards of different sizes."""
    place = tmp_path_factory.mktemp("cached")
    for words in (["model=pixels", "rows_per_shard=50"], ["model=histogram", "rows_per_shard=70"]):
        foresight(place, "extract", *words, "pooling=flat", "data.size=32", "data.per_category=80")
    return place


def foresight(place: Path, *words: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "foresight_cli", *words], cwd=place, capture_output=True, text=True, env=user_env(**env)
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def analysis(place: Path, name: str, *words: str, **env: str) -> tuple[Analysis, str]:
    said = foresight(
        place, "analyze", "source=pixels", "target=histogram", *SMALL, f"hydra.run.dir={name}", *words, **env
    )
    found = load_results(place / name / "results.yaml")
    assert isinstance(found, Analysis)
    return found, said


@pytest.fixture(scope="module")
def here(cached) -> Analysis:
    found, said = analysis(cached, "here")
    assert "every row: 640 samples in 13 shards" in said
    return found


def entry(cached: Path, model: str) -> Entry:
    (folder,) = (cached / "outputs/cache" / model).glob("*/*/*")
    return Entry.open(folder)


def test_it_is_the_answer_of_all_rows_in_memory(cached, here):
    x, y = join(load(entry(cached, "pixels")), load(entry(cached, "histogram")))
    assert here.whole is not None
    assert (here.whole.rows, here.whole.left_out) == (640, 0)
    assert here.whole.cka == pytest.approx(linear_cka(x.values, y.values), rel=1e-8)
    assert here.rows == 300
    assert here.whole.r2.value == pytest.approx(here.chosen_pair.r2.value, abs=0.2)


def test_none_where_every_row_is_scored_or_none_is_wanted(cached):
    found, _ = analysis(cached, "all", "max_rows=5000")
    assert found.whole is None
    found, _ = analysis(cached, "unwanted", "every_row=false")
    assert found.whole is None


def test_the_report_says_it(cached, here):
    foresight(cached, "report", "run=here", "hydra.run.dir=said")
    for page in ("FINDINGS.md", "report.html"):
        assert "On every row (640): R² " in (cached / "said" / page).read_text()
    assert "\nhere,every row,pixels," in (cached / "said" / "results.csv").read_text()


def test_rows_that_do_not_fit_in_memory(cached, here, tmp_path):
    code = "import foresight_cli.analysis_inputs as i; i.IN_MEMORY = 0; from foresight_cli.cli import app; app()"
    words = ["analyze", "source=pixels", "target=histogram", *SMALL, "controls=[mean_rgb]", "hydra.run.dir=little"]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=cached, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (control,) = [one for one in entries(cached / "outputs/cache") if one.recipe.model.get("resolution") == 1]
    assert control.recipe.rows == 300  # no more pictures were read for it than were drawn
    assert "640 samples are more than fit in memory: 300 of them are drawn and read" in done.stdout
    found = load_results(cached / "little" / "results.yaml")
    assert isinstance(found, Analysis)
    assert found.duplicates.rows == 640
    assert found.rows == 300
    assert found.whole is not None
    assert here.whole is not None
    assert found.whole.cka == pytest.approx(here.whole.cka, rel=1e-10)
    assert found.chosen_pair.r2.value == pytest.approx(here.chosen_pair.r2.value, rel=1e-9)
    assert found.duplicates == here.duplicates


def test_a_ray_cluster_gives_the_same_to_ten_digits(cached, here):
    pytest.importorskip("ray")
    found, said = analysis(cached, "ray", "runner=ray", "runner.address=local", "runner.workers=2")
    assert "Ray: 2 pieces on " in said
    one, other = (json.loads(json.dumps(each.whole, default=vars)) for each in (here, found))
    assert one.keys() == other.keys()
    for key in ("cka", "cka_biased", "source_effective_rank", "target_effective_rank"):
        assert other[key] == pytest.approx(one[key], rel=1e-10)
    assert other["r2"]["value"] == pytest.approx(one["r2"]["value"], rel=1e-10)
    assert np.array_equal(one["source_pca_dimensions"], other["source_pca_dimensions"])
    assert found.chosen_pair.r2.value == here.chosen_pair.r2.value


@pytest.mark.parametrize(
    ("r2", "cka", "said"),
    [(0.5, 0.5, 0), (0.9, 0.5, 0), (0.1, 0.5, 1), (0.5, 0.9, 1), (0.5, 0.1, 1), (0.1, 0.1, 2)],
)
def test_a_number_outside_the_interval_of_the_drawn_rows_is_a_warning(here, r2, cka, said):
    assert here.whole is not None
    pair = replace(here.chosen_pair, r2=Estimate(0.5, 0.4, 0.6), cka=Estimate(0.5, 0.4, 0.6))
    drawn = replace(here, pairs=[pair])
    whole = replace(here.whole, r2=Estimate(r2, r2, r2), cka=cka)
    found = outside(drawn, whole)
    assert len(found) == said
    assert all(
        "outside the interval [0.400, 0.600] of the 300 that were scored: raise max_rows" in line for line in found
    )
