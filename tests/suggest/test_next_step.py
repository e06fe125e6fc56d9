import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import user_env

SMALL = ("data.per_category=3", "data.size=64")


def lines(done):
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def test_after_one_model_comes_the_other_and_then_the_analysis(run):
    said = lines(run("extract", "model=ltxv", "weights=tiny", "model.resolution=64", *SMALL))
    wanted = (
        "Next: foresight extract model=qwen25vl layer=all pooling=all data=shapes data.per_category=3 data.size=64 "
        "weights=tiny"
    )
    assert wanted in said
    said = lines(run("extract", "model=qwen25vl", "weights=tiny", "layer=8", *SMALL))
    assert (
        "Next: foresight analyze target.model.resolution=64 data=shapes data.per_category=3 data.size=64 weights=tiny"
    ) in said


def test_of_a_control_analyze_makes_its_own(run):
    run("extract", "model=pixels", *SMALL)
    said = lines(run("extract", "model=histogram", *SMALL))
    assert said[-1] == ("Next: extract a model on the same data. analyze measures this one by itself, as a control")


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_errors_are_red_on_a_terminal_unless_it_wants_no_colour(tmp_path, no_color, coloured):
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "foresight_cli", "report"],
        cwd=tmp_path, env={**user_env(NO_COLOR=no_color), "TERM": "xterm"}, stdout=slave, stderr=slave,
    )  # fmt: skip
    assert process.wait(60) == 1
    os.close(slave)
    said = os.read(master, 4096)
    assert b"no analysis under outputs" in said
    assert (b"\x1b[31m" in said) == coloured


def test_after_an_analysis_and_an_adapter_comes_the_report(run, monkeypatch):
    monkeypatch.setattr("foresight_cli.report.draw_figures", lambda *_: iter(()))  # they print no line
    for model in ("pixels", "histogram"):
        run("extract", f"model={model}", "data.per_category=20", "data.size=32")
    pair = ("source=pixels", "target=histogram")
    said = lines(run("analyze", *pair, "permutations=19", "controls=[mean_rgb]"))
    assert said[-1].endswith("Next: foresight report")
    assert lines(run("adapt", *pair, "adapter=linear"))[-1] == "Next: foresight report"
    assert lines(run("adapt", "-m", *pair, "adapter=linear,lowrank"))[-1] == "Next: foresight report"
    said = lines(run("report"))
    (page,) = Path("outputs/report").rglob("report.html")
    assert said[-1].split() == ["Next", "python", "-m", "webbrowser", str(page)]
