"""Tests of ``examples/``: they run unchanged on small data, and each of their commands and of docs/scaling.md works."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import hydra
import pytest
from hydra import initialize_config_dir

from foresight_cli.cli.overrides import for_hydra
from foresight_cli.config.reader import adapt_config, analyze_config, extract_config, report_config
from foresight_cli.config.tree import conf_dir
from foresight_cli.latents import entries
from tests.conftest import user_env

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples").iterdir())
READERS = {"extract": extract_config, "analyze": analyze_config, "adapt": adapt_config, "report": report_config}
SMALL = {
    "extract": ("weights=tiny", "data.per_category=4"),
    "analyze": ("weights=tiny", "max_rows=500", "permutations=19", "controls=[mean_rgb]"),
}
"""Overrides that make a command of an example small, put before its own overrides."""
PROGRAM = """
import sys
from foresight_cli.cli import app
if sys.argv[1] == "report":  # drawing all figures takes 7 s
    import foresight_cli.report
    foresight_cli.report.draw_figures = lambda *_: iter(())
app()
"""


def commands() -> list[str]:
    """Return every ``foresight`` command line of the examples and of the pages on scaling and stores."""
    texts = [file.read_text(encoding="utf-8") for file in EXAMPLES]
    for page in ("scaling", "stores"):
        text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
        texts += re.findall(r"^```bash\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for text in texts for line in text.replace("\\\n", " ").splitlines()]
    stripped = [
        re.sub(r"^.*?(foresight|\$\(FORESIGHT\)) (?=(extract|analyze|adapt|report) )", "", line) for line in lines
    ]
    return sorted({word for line, word in zip(lines, stripped, strict=True) if word != line})


def words_of(command: str) -> list[str]:
    """Return the words of a command, with example values for its variables."""
    filled = re.sub(r"\$\{SLURM[^}]*\}", "2", command.replace("$(CACHE)", "cache").replace("$(LATENTS)", ""))
    return shlex.split(filled.replace("$cache", "cache"), comments=True)


def test_there_are_commands():
    stages = {command.split()[0] for command in commands()}
    assert {"extract", "analyze", "report"} <= stages
    assert len(commands()) >= 8


@pytest.mark.parametrize("command", commands())
def test_each_command_can_be_typed(command):
    stage, *words = words_of(command)
    if "-m" in words:
        pytest.skip("a sweep: tests of launchers run one")
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        READERS[stage](hydra.compose(stage, for_hydra(stage, words)))


@pytest.fixture
def shim(tmp_path) -> Path:
    """Write a ``foresight`` script that adds the overrides for small data, and return its folder."""
    place = tmp_path / "bin"
    place.mkdir()
    cases = "".join(f'{stage}) small="{" ".join(words)}" ;;\n' for stage, words in SMALL.items())
    script = place / "foresight"
    script.write_text(
        f'#!/bin/bash\ncase $1 in\n{cases}*) small="" ;;\nesac\n'
        f'exec {shlex.quote(sys.executable)} -c {shlex.quote(PROGRAM)} "$1" $small "${{@:2}}"\n'
    )
    script.chmod(0o755)
    return place


def done(words: list[str], folder: Path, shim: Path, **env: str) -> subprocess.CompletedProcess[str]:
    path = f"{shim}:{os.environ['PATH']}"
    return subprocess.run(
        words, cwd=folder, env=user_env(PATH=path, **env), capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.slow
def test_the_slurm_script_goes_from_pictures_to_a_report(tmp_path, shim):
    script = str(ROOT / "examples/slurm.sh")
    result = done(["bash", script, "shared"], tmp_path, shim, SLURM_GPUS_ON_NODE="2")
    assert result.returncode == 0, result.stderr
    assert {entry.recipe.model["name"] for entry in entries(tmp_path / "shared")} >= {"qwen25vl", "ltxv"}
    assert list((tmp_path / "outputs/report").rglob("report.html"))
    without = done(["bash", script], tmp_path, shim)
    assert without.returncode == 1
    assert "a folder that all nodes share, or a store such as s3://bucket/foresight" in without.stderr


@pytest.mark.slow
def test_the_gate_fails_where_nothing_says_proceed(tmp_path, shim, run):
    for model in ("pixels", "histogram"):
        extracted = run("extract", f"model={model}", "pooling=flat", "data.per_category=40", "data.size=32")
        assert extracted.exit_code == 0, extracted.output
    (tmp_path / "Makefile").write_text(f"include {ROOT / 'examples/ci.mk'}\n")
    gate = done(["make", "bridge", "LATENTS=source=pixels target=histogram"], tmp_path, shim)
    assert gate.returncode == 2
    assert re.search(r"make: \*\*\* .*bridge\] Error 3", gate.stderr), gate.stderr
    assert list((tmp_path / "outputs/report").rglob("report.html"))


@pytest.mark.parametrize("script", [file for file in EXAMPLES if file.suffix == ".sh"], ids=lambda file: file.name)
def test_each_script_is_valid_bash(script):
    assert subprocess.run(["bash", "-n", script], capture_output=True, check=False).returncode == 0
