"""What a contributor's tools read: the workflow, the hooks, the forms for issues, and the pinned versions."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_workflow_tests_each_python_that_the_package_takes() -> None:
    (job,) = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"].values()
    matrix = job["strategy"]["matrix"]
    taken = SpecifierSet(PROJECT["requires-python"])
    assert matrix["python"] == [f"3.{minor}" for minor in range(30) if f"3.{minor}.1" in taken]
    for target in (*matrix["target"], *(more["target"] for more in matrix["include"])):
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target


def test_the_hooks_run_the_tools_of_make_lint_and_make_types() -> None:
    (hooks,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    tools = {hook["entry"].replace(".venv/bin/", "").replace(" --force-exclude", "") for hook in hooks["hooks"]}
    assert tools == {"ruff check --fix", "ruff format", "mypy"}
    assert all(f"$(BIN)/{tool}" in MAKEFILE for tool in ("ruff check .", "ruff format --check .", "mypy"))


def test_each_form_for_issues_asks_for_something_required() -> None:
    forms = [path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config"]
    assert len(forms) == 3
    for path in forms:
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert {"name", "description", "body"} <= set(form)
        assert any(field.get("validations", {}).get("required") for field in form["body"])


def test_each_direct_requirement_is_pinned_within_its_bounds() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {
        canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines) if version
    }
    extras = {
        name: group for name, group in PROJECT["optional-dependencies"].items() if name not in ("bench", "trackio")
    }
    wanted = [
        Requirement(text) for text in (*PROJECT["dependencies"], *(t for group in extras.values() for t in group))
    ]
    for requirement in wanted:
        name = canonicalize_name(requirement.name)
        if name != "foresight-latents":
            assert pins.get(name) in requirement.specifier, f"{requirement}: pinned {pins.get(name)}"
