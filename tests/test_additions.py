"""The pages ``docs/add-a-*.md``: each addition touches at most four files, and works in a copy of the package."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import user_env

ROOT = Path(__file__).resolve().parent.parent
ADDITIONS = ("model", "adapter", "control", "metric", "gate", "figure")
MOST_FILES = 4
"""Files of an addition beside its test and its line in ``docs/``."""

BLOCKS = """
import json, shlex, sys
from typer.testing import CliRunner
from foresight_cli.cli import app

ran = set()
for page, language, text in json.load(sys.stdin):
    if language == "python":
        exec(compile(text, page, "exec"), {})
    for line in text.splitlines() if language == "bash" else ():
        if line not in ran:  # several pages start with the same commands
            ran.add(line)
            name, *words = shlex.split(line)
            assert name == "foresight"
            result = CliRunner().invoke(app, words)
            assert result.exit_code == 0, f"{page}: {line}: {result.output}"
"""
"""Runs the blocks of pages in one process: importing torch for each of them would take most of the time."""


def blocks(addition: str) -> list[tuple[str, str]]:
    """Return language and text of each fenced block of a page."""
    text = (ROOT / f"docs/add-a-{addition}.md").read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def diff(addition: str) -> str:
    """Return the diff of a page, in one piece."""
    return "".join(text for language, text in blocks(addition) if language == "diff")


def apply(addition: str, folder: Path, *options: str) -> None:
    """Apply the diff of a page to the files in ``folder``."""
    done = subprocess.run(
        ["git", "apply", *options, "-"], cwd=folder, input=diff(addition), text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, f"{addition}: {done.stderr}"


def copy_of_the_package(folder: Path) -> Path:
    """Copy the package, its configs and the settings of its linter to ``folder``."""
    for name in ("foresight_cli", "conf"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_there_is_a_page_for_each() -> None:
    assert {path.stem.removeprefix("add-a-") for path in (ROOT / "docs").glob("add-a-*.md")} == set(ADDITIONS)


@pytest.mark.parametrize("addition", ADDITIONS)
def test_an_addition_touches_few_files(addition: str) -> None:
    files = re.findall(r"^\+\+\+ b/(.*)$", diff(addition), flags=re.MULTILINE)
    assert 1 <= len(set(files)) == len(files) <= MOST_FILES
    assert {language for language, _ in blocks(addition)} == {"diff", "bash", "python"}


def test_each_diff_fits_without_the_others(tmp_path: Path) -> None:
    copy = copy_of_the_package(tmp_path)
    for addition in ADDITIONS:
        apply(addition, copy, "--check")


def test_the_additions_keep_the_style(tmp_path: Path) -> None:
    copy = copy_of_the_package(tmp_path)
    for addition in ADDITIONS:
        apply(addition, copy)
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "foresight_cli"],
            cwd=copy,
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_additions_work(tmp_path: Path) -> None:
    copy = copy_of_the_package(tmp_path / "checkout")
    for addition in ADDITIONS:
        apply(addition, copy)
    pages = [(addition, *block) for addition in ADDITIONS for block in blocks(addition)]
    done = subprocess.run(
        [sys.executable, "-c", BLOCKS],
        cwd=tmp_path,
        env=user_env(PYTHONPATH=os.fspath(copy)),
        input=json.dumps(pages),
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (report,) = (tmp_path / "outputs/report").glob("*/*")
    results = yaml.safe_load((report / "results.yaml").read_text(encoding="utf-8"))
    findings, page = ((report / name).read_text(encoding="utf-8") for name in ("FINDINGS.md", "report.html"))

    assert "| glu epochs=5 | pixels final flat | histogram final flat | glu | 57,664 | " in findings
    assert '<td>glu epochs=5</td><th scope="row">glu</th><td class="n">57,664</td>' in page

    control = next(c for c in results["controls"] if c["name"] == "quadrants")
    assert "- quadrants: mean colours of the four quarters" in findings
    assert f"| quadrants | {control['r2']:.3f} | " in findings
    assert f'<th scope="row">quadrants</th><td class="n">{control["r2"]:.3f}</td>' in page

    measure = results["chosen"]["distance_correlation"]
    assert 0 < measure < 1
    assert f"- Distance correlation: {measure:.3f}\n" in findings
    assert f"<li>Distance correlation: {measure:.3f}</li>" in page

    criterion = next(c for c in results["verdict"]["criteria"] if c["name"] == "learning curve")
    assert criterion["outcome"] == "UNCLEAR"
    assert re.search(r"^\| learning curve \| .* \| UNCLEAR \| still-rising \|$", findings, re.MULTILINE)
    for text in (findings, page):
        assert f"learning curve: {criterion['reason']}" in text

    for kind in ("png", "svg"):
        assert (report / f"figures/semantic_sim_spread.{kind}").stat().st_size > 1000
    assert "](figures/semantic_sim_spread.png)" in findings
    assert '<figure id="fig-semantic_sim_spread">' in page
