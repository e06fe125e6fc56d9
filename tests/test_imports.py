"""The structure of the source: imports run one way, files are short, and file names describe their content."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "foresight_cli"
FILES = sorted(PACKAGE.rglob("*.py"))

GROUND = (
    "",
    "errors",
    "hashing",
    "clip",
    "csv_table",
    "brace_patterns",
    "latent_file",
    "config",
    "config_groups",
    "config_reader",
    "text_settings",
    "user_path",
    "progress",
    "trackers",
    "pooling",
    "devices",
    "labels",
    "ray_cluster",
)  # any part may import these
LAYERS = (
    ("data", "models", "path_kinds"),
    ("latents",),
    ("metrics",),
    ("extraction", "runners", "ray_gather", "catalog", "sample_size", "suggest"),
    ("inference",),
    ("results",),
    ("criteria", "runs"),
    ("adapters",),
    ("training",),
    ("experiments", "verdict"),
    ("reporting",),
    ("control_spaces", "companion", "previews"),
    ("noise_ceiling",),
    ("evidence",),
    ("paired", "token_grid", "analysis_inputs", "every_row"),
    ("adapter_report", "sweep"),
    ("preflight",),
    ("extract", "analyze", "adapt", "report", "cache"),
    ("stage", "stage_errors", "overrides", "did_you_mean", "completion", "cli", "__main__"),
)
RANK = {name: rank for rank, names in enumerate((GROUND, *LAYERS)) for name in names}


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
    assert own in RANK, f"add {own} to the layers in {Path(__file__).name}"
    for module in imports(file):
        assert RANK[part(module)] <= RANK[own], f"{file.name} imports {module}, which is in a higher layer"


def test_data_and_models_do_not_import_each_other():
    """They share a layer, but a model takes a picture of any source."""
    for folder, other in (("data", "models"), ("models", "data")):
        for file in (PACKAGE / folder).rglob("*.py"):
            assert not [m for m in imports(file) if part(m) == other], file


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_files_are_short_and_named_by_their_content(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) < 300
    assert file.stem not in ("utils", "helpers", "common", "misc")
    assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))), "describe the file in a line"


def test_tests_and_scripts_are_short_too():
    root = PACKAGE.parent
    for folder in ("tests", "benchmarks", "scripts"):
        for file in (root / folder).rglob("*.py"):
            assert len(file.read_text(encoding="utf-8").splitlines()) < 300, file
