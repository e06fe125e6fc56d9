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
    printed = lines(run("extract", "model=ltxv", "weights=tiny", "model.resolution=64", *SMALL))
    wanted = (
        "Next: foresight extract model=qwen25vl layer=all pooling=all data=shapes data.per_category=3 data.size=64 "
        "weights=tiny"
    )
    assert wanted in printed
    printed = lines(run("extract", "model=qwen25vl", "weights=tiny", "layer=8", *SMALL))
    assert (
        "Next: foresight analyze target.model.resolution=64 data=shapes data.per_category=3 data.size=64 weights=tiny"
    ) in printed


def test_no_command_is_printed_after_a_control(run):
    run("extract", "model=pixels", *SMALL)
    printed = lines(run("extract", "model=histogram", *SMALL))
    assert printed[-1] == (
        "Next: extract a model on the same data. analyze makes and measures this model itself, as a control"
    )


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_errors_are_red_on_a_terminal_unless_it_wants_no_colour(tmp_path, no_color, coloured):
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "foresight_cli", "report"],
        cwd=tmp_path, env={**user_env(NO_COLOR=no_color), "TERM": "xterm"}, stdout=slave, stderr=slave,
    )  # fmt: skip
    assert process.wait(60) == 1
    os.close(slave)
    printed = os.read(master, 4096)
    assert b"no analysis under outputs" in printed
    assert (b"\x1b[31m" in printed) == coloured


def test_after_an_analysis_and_an_adapter_comes_the_report(run, no_figures):
    for model in ("pixels", "histogram"):
        run("extract", f"model={model}", "data.per_category=20", "data.size=32")
    pair = ("source=pixels", "target=histogram")
    printed = lines(run("analyze", *pair, "permutations=19", "controls=[mean_rgb]"))
    assert printed[-1].endswith("Next: foresight report")
    assert lines(run("adapt", *pair, "adapter=linear"))[-1] == "Next: foresight report"
    assert lines(run("adapt", "-m", *pair, "adapter=linear,lowrank"))[-1] == "Next: foresight report"
    printed = lines(run("report"))
    (page,) = Path("outputs/report").rglob("report.html")
    assert printed[-1].split() == ["Next", "python", "-m", "webbrowser", str(page)]
