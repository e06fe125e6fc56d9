import csv
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from foresight_cli.results import load_results, save_arrays, save_results
from tests.conftest import user_env
from tests.reporting import example


def analysis(folder, results):
    path = Path(folder)
    path.mkdir(parents=True)
    save_results(results, path / "results.yaml")
    save_arrays({}, path / "figures.safetensors")
    return path


def judged(answer, **changes):
    results = example.bare()[0]
    return dataclasses.replace(results, verdict=dataclasses.replace(results.verdict, answer=answer), **changes)


@pytest.mark.parametrize(
    ("fail_on", "answer", "status"),
    [
        ("pivot", "PIVOT", 3),
        ("pivot", "INCONCLUSIVE", 0),
        ("pivot", "PROCEED", 0),
        ("inconclusive", "PIVOT", 3),
        ("inconclusive", "INCONCLUSIVE", 3),
        ("inconclusive", "PROCEED", 0),
        ("null", "PIVOT", 0),
    ],
)
def test_status_that_a_pipeline_stops_at(run, no_figures, fail_on, answer, status):
    analysis("outputs/analyze/a", judged(answer))
    done = run("report", f"fail_on={fail_on}", "hydra.run.dir=out")
    assert done.exit_code == status, done.output
    assert Path("out/report.html").is_file()
    if status:
        assert done.output.splitlines()[-1] == f"foresight report: {answer}, and fail_on={fail_on} stops here"


def test_json_alone_on_standard_output(run, no_figures):
    analysis("outputs/analyze/a", judged("PIVOT"))
    done = run("report", "format=json")
    assert done.exit_code == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["verdict"]["answer"] == "PIVOT"
    assert printed["pairs"][0]["selection_r2"] is None
    assert printed["pairs"][0]["r2"]["value"] == 0.56
    assert done.stderr == "report on outputs/analyze/a\n"


def test_a_reader_that_stops_early_is_no_error(tmp_path):
    analysis(tmp_path / "outputs/analyze/a", example.full()[0])
    command = f"{sys.executable} -m foresight_cli report format=json | head -c 20; echo status ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=user_env(), capture_output=True, text=True)
    assert done.stdout.endswith("status 0\n"), done.stderr
    assert "Traceback" not in done.stderr


def test_several_side_by_side(run):
    analysis("a", judged("PIVOT", data={"name": "shapes"}))
    analysis("b", judged("INCONCLUSIVE", data={"path": "photos"}))
    done = run("report", "runs=[a,b]", "hydra.run.dir=out")
    assert done.exit_code == 0, done.output
    assert done.output.startswith("report on 2 analyses\n")
    page = Path("out/report.html").read_text(encoding="utf-8")
    assert page.index("on photos") < page.index("on shapes")
    with Path("out/results.csv").open(newline="", encoding="utf-8") as file:
        assert {row["analysis"] for row in csv.DictReader(file)} == {"on photos", "on shapes"}
    assert "foresight report run=b" in done.output
    once = {path: path.read_bytes() for path in Path("out").rglob("*") if path.suffix in (".html", ".csv", ".svg")}
    assert len(once) == 3
    assert run("report", "runs=[a,b]", "hydra.run.dir=out").exit_code == 0
    assert {path: path.read_bytes() for path in once} == once


def test_a_sweep_is_shown_side_by_side(run):
    sweep = Path("outputs/analyze/multirun/2026-01-01/10-00-00")
    for number in (0, 9, 10):
        analysis(sweep / str(number), judged("PIVOT", settings={"seed": number}))
    (sweep / "multirun.yaml").write_text("hydra: {}\n")
    done = run("report", "format=json", "hydra.run.dir=out")
    assert done.exit_code == 0, done.output
    page = Path("out/report.html").read_text(encoding="utf-8")
    assert page.index("seed 0") < page.index("seed 9") < page.index("seed 10")
    by_folder = run("report", f"runs={sweep}", "hydra.run.dir=other")
    assert by_folder.exit_code == 0, by_folder.output
    assert Path("other/report.html").read_text(encoding="utf-8") == page
    assert load_results(sweep / "0").verdict.answer == "PIVOT"


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (["runs=[a,nowhere]"], 1, "runs: no analysis in nowhere. Give folders that foresight analyze wrote"),
        (["runs=[]"], 2, "runs=[]: name at least two analyses, or the folder of a sweep"),
        (["run=a", "runs=[a]"], 2, "run= is for one analysis and runs= for several: give one of them"),
        (["format=xml"], 2, "format=xml: choose one of text, json"),
        (["fail_on=never"], 2, "fail_on=never: choose one of pivot, inconclusive"),
    ],
)
def test_a_usage_error_is_one_line(run, args, status, message):
    analysis("a", judged("PIVOT"))
    done = run("report", *args)
    assert done.exit_code == status
    assert done.output == f"foresight report: {message}\n"
