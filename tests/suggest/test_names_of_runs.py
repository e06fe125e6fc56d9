"""Tests of the names of runs: by the words that a sweep varied, and by the pair of an adapter."""

from __future__ import annotations

import os

import pytest
import yaml

from foresight_cli.errors import ForesightError
from foresight_cli.report import newest
from foresight_cli.reporting.compared import compare
from foresight_cli.results import save_results
from foresight_cli.results.runs import other_adapters
from tests.reporting import example


@pytest.fixture
def analysis():
    return example.bare()[0]


def test_a_row_of_a_sweep_is_named_by_what_was_varied(tmp_path, analysis):
    (tmp_path / "multirun.yaml").write_text("{}")
    analyses = []
    for number, (layer, path) in enumerate([("2", "effnet.npz"), ("2", "squeeze.npz"), ("final", "effnet.npz")]):
        place = tmp_path / str(number) / ".hydra"
        place.mkdir(parents=True)
        typed = ["model@source.model=vision", f"source.layer.index={layer}", f"target.model.path='{path}'"]
        (place / "overrides.yaml").write_text(yaml.safe_dump(typed))
        analyses.append((place.parent, analysis))
    assert {row.name for row in compare(analyses)} == {
        "source.layer.index=2 target.model.path=effnet.npz",
        "source.layer.index=2 target.model.path=squeeze.npz",
        "source.layer.index=final target.model.path=effnet.npz",
    }


def test_adapters_of_other_pairs_are_counted_pair_by_pair(tmp_path):
    assert other_adapters(tmp_path, ["a", "b"]) == []
    (tmp_path / "adapt/multirun/1").mkdir(parents=True)
    (tmp_path / "adapt/multirun/1/multirun.yaml").write_text("{}")
    made = [("multirun/1/0", "a"), ("multirun/1/1", "a"), ("2", "c"), ("3", "c"), ("4", "shown")]
    made += [(str(number), f"more-{number}") for number in range(5, 9)]
    for at, (folder, source) in enumerate(made):
        place = tmp_path / "adapt" / folder
        place.mkdir(parents=True)
        results = example.adapter(source=f"vision layer {source} cls", keys=[source, "b"])
        save_results(results, place / "results.yaml")
        os.utime(place / "results.yaml", (at, at))
    pairs = {source: f"vision layer {source} cls -> ltxv final channel_mean" for _, source in made}
    newest = [f"1 for {pairs[f'more-{number}']} ({tmp_path}/adapt/{number})" for number in (8, 7, 6, 5)]
    two = f"2 for {pairs['c']} (the newest in {tmp_path}/adapt/3)"
    swept = f"2 for {pairs['a']} ({tmp_path}/adapt/multirun/1)"
    assert other_adapters(tmp_path, ["shown", "b"]) == [*newest, two, f"and of 1 more pair, in {tmp_path}/adapt"]
    for number in (5, 6):
        (tmp_path / f"adapt/{number}/results.yaml").unlink()
    assert other_adapters(tmp_path, ["shown", "b"]) == [*newest[:2], two, swept]


def test_the_newest_run_is_by_time_and_not_by_name(tmp_path, analysis):
    with pytest.raises(ForesightError, match=rf"^no run of adapt under {tmp_path}: run foresight adapt first$"):
        newest(tmp_path, stage="adapt")
    with pytest.raises(ValueError, match=r"^stage='extract': choose one of analyze, adapt, report$"):
        newest(tmp_path, stage="extract")
    runs = [("2026-11-30/10-00-00", 3000), ("2026-11-29/10-00-00", 1000), ("multirun/2026-11-28/10-00-00/0", 2000)]
    for stage, results in (("analyze", analysis), ("adapt", example.adapter())):
        for folder, at in runs:
            place = tmp_path / stage / folder
            place.mkdir(parents=True)
            save_results(results, place / "results.yaml")
            os.utime(place / "results.yaml", (at, at))
        assert newest(tmp_path, stage=stage) == tmp_path / stage / "2026-11-30/10-00-00"
    os.utime(tmp_path / "analyze/multirun/2026-11-28/10-00-00/0/results.yaml", (4000, 4000))
    assert newest(str(tmp_path)) == tmp_path / "analyze/multirun/2026-11-28/10-00-00/0"
    for folder, at in (("a", 2), ("b", 1)):
        (tmp_path / "report" / folder).mkdir(parents=True)
        (tmp_path / "report" / folder / "results.csv").touch()
        os.utime(tmp_path / "report" / folder / "results.csv", (at, at))
    assert newest(tmp_path, stage="report") == tmp_path / "report/a"
