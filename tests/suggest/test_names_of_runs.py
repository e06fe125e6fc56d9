"""What tells the runs of one folder apart: the words that a sweep varied, and the pair that an adapter is for."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path

import pytest
import yaml

from foresight_cli.reporting.compared import compare
from foresight_cli.results import save_results
from foresight_cli.runs import other_adapters

EXAMPLE = run_path(str(Path(__file__).parent.parent / "reporting/example.py"))


@pytest.fixture
def analysis():
    return EXAMPLE["bare"]()[0]


def test_a_row_of_a_sweep_is_named_by_what_was_varied(tmp_path, analysis):
    (tmp_path / "multirun.yaml").write_text("{}")
    found = []
    for number, (layer, path) in enumerate([("2", "effnet.npz"), ("2", "squeeze.npz"), ("final", "effnet.npz")]):
        place = tmp_path / str(number) / ".hydra"
        place.mkdir(parents=True)
        typed = ["model@source.model=vision", f"source.layer.index={layer}", f"target.model.path='{path}'"]
        (place / "overrides.yaml").write_text(yaml.safe_dump(typed))
        found.append((place.parent, analysis))
    assert {one.name for one in compare(found)} == {
        "source.layer.index=2 target.model.path=effnet.npz",
        "source.layer.index=2 target.model.path=squeeze.npz",
        "source.layer.index=final target.model.path=effnet.npz",
    }


def test_adapters_of_another_pair_are_told_of(tmp_path, analysis):
    assert other_adapters(tmp_path, analysis) is None
    results = EXAMPLE["adapter"](source="vision layer 2 cls", keys=["a", "b"])
    (tmp_path / "adapt/1").mkdir(parents=True)
    save_results(results, tmp_path / "adapt/1/results.yaml")
    assert other_adapters(tmp_path, analysis) == (
        f"none for this pair; 1 for vision layer 2 cls -> ltxv final channel_mean ({tmp_path}/adapt/1)"
    )
