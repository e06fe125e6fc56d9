"""The structure of the source: imports run one way, files are short, and file names describe their content."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "foresight_cli"
FILES = sorted(PACKAGE.rglob("*.py"))

RANKS = (
    ("", "errors"),
    ("config", "machine", "latent_file", "latents", "metrics"),
    ("data", "results", "adapters", "trackers", "cluster"),
    ("models", "inference", "verdict"),
    ("suggest",),
    ("catalog", "extraction", "training"),
    ("inputs",),
    ("experiments",),
    ("evaluation",),
    ("reporting",),
    ("study_q1",),
    ("extract", "analyze", "adapt", "report", "cache"),
    ("cli", "__main__"),
)
"""Packages, and the modules beside them: each imports its own rank or those before it."""
RANK = {name: rank for rank, names in enumerate(RANKS) for name in names}


def part(module: str) -> str:
    """Return the part that a module belongs to: ``foresight_cli.latents.store`` -> ``latents``."""
    return [*module.split("."), ""][1]


def imports(file: Path) -> Iterator[str]:
    """Yield every module of foresight that ``file`` imports, also inside functions."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("foresight_cli"))
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            if node.module == "foresight_cli":
                yield from (f"foresight_cli.{alias.name}" for alias in node.names if alias.name != "__version__")
            elif node.module and node.module.startswith("foresight_cli."):
                yield node.module


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_run_one_way(file):
    own = part("foresight_cli." + ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__"))
    assert own in RANK, f"add {own} to the ranks in {Path(__file__).name}"
    for module in imports(file):
        assert RANK[part(module)] <= RANK[own], f"{file.name} imports {module}, which has a higher rank"


def test_models_take_pictures_of_any_source():
    """They know clips, and what a path is, but no dataset."""
    used = {module for file in (PACKAGE / "models").rglob("*.py") for module in imports(file) if part(module) == "data"}
    assert used == {"foresight_cli.data.clip", "foresight_cli.data.path_kinds"}


def test_no_two_packages_import_each_other():
    arrows = {
        (part(f"foresight_cli.{'.'.join(file.relative_to(PACKAGE).parts)}"), part(module))
        for file in FILES
        if file.parent != PACKAGE
        for module in imports(file)
    }
    assert {(a, b) for a, b in arrows if a < b and (b, a) in arrows} == set()


def imported_at_the_top(module: str) -> set[str]:
    """Return the modules that importing ``module`` imports, through modules of foresight."""
    seen, left = set(), [module]
    while left:
        name = left.pop()
        path = PACKAGE.parent / name.replace(".", "/")
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if name in seen:
            continue
        seen.add(name)
        left.append(name.rpartition(".")[0] or name)  # its package
        if not file.is_file():
            continue
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                left += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                left += [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
    return seen


def test_only_what_draws_imports_matplotlib():
    assert "matplotlib.figure" in imported_at_the_top("foresight_cli.reporting.figures")
    names = imported_at_the_top("foresight_cli.adapt")
    assert "foresight_cli.training.loop" in names
    assert [name for name in names if name.partition(".")[0] in ("matplotlib", "PIL")] == []


def test_the_root_holds_the_stages():
    stages = {path.stem for path in (PACKAGE.parent / "conf").glob("*.yaml")}
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    assert modules == {"__init__", "__main__", "errors", *stages}


def test_tests_mirror_the_packages():
    """A folder of tests is a package; ``layouts`` holds published layouts of checkpoints, read by several packages."""
    folders = {
        path.parent.relative_to(PACKAGE.parent / "tests") for path in (PACKAGE.parent / "tests").rglob("test_*.py")
    }
    special = {Path(), Path("layouts"), Path("checkpoints"), Path("latents/stores")}
    assert [folder for folder in sorted(folders - special) if not (PACKAGE / folder / "__init__.py").is_file()] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_files_are_short_and_named_by_their_content(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) < 300
    assert file.stem not in ("utils", "helpers", "common", "misc")
    assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))), "describe the file in a line"


def test_no_test_imports_another_or_judges_by_the_clock():
    for file in sorted((PACKAGE.parent / "tests").rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [f"{getattr(node, 'module', '')}.{alias.name}" for alias in node.names]
                others = {part for name in names for part in name.split(".") if part.startswith("test_")} - {file.stem}
                assert others == set(), f"{file}: what two tests share is in conftest.py or a module without tests"
                assert not any("runpy" in name for name in names), f"{file}: import it by its name"
            elif isinstance(node, ast.Assert):
                duration = re.search(r"time\.\w+\(\) - ", ast.unparse(node))
                assert not duration, f"{file}:{node.lineno}: a slow machine fails no test"


def test_tests_and_scripts_are_short_too():
    root = PACKAGE.parent
    for folder in ("tests", "benchmarks", "scripts"):
        for file in (root / folder).rglob("*.py"):
            assert len(file.read_text(encoding="utf-8").splitlines()) < 300, file
