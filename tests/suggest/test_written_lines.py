"""No command with settings is written out in a message: such a line is made from what was typed, with its cache_dir."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "foresight_cli"
LINE = re.compile(r"foresight (?:extract|analyze|adapt|report) (?:-m |--)?[\w@.]+=|foresight cache \w+ (?:--|\w+=)")
WRITTEN = {"cli.py": "foresight extract weights=tiny model=qwen25vl layer=all"}
"""Lines for somebody who has typed nothing yet, by file."""


def texts(tree: ast.AST) -> Iterator[str]:
    """Every string of a module but its docstrings."""
    docstrings = {id(statement.value) for statement in ast.walk(tree) if isinstance(statement, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_lines_with_settings_are_made_of_what_was_typed():
    written = {
        str(file.relative_to(PACKAGE)): text
        for file in sorted(PACKAGE.rglob("*.py"))
        for text in texts(ast.parse(file.read_text(encoding="utf-8")))
        if LINE.search(text)
    }
    assert written.keys() == WRITTEN.keys()
    assert all(line in written[name] for name, line in WRITTEN.items())


def test_a_line_is_told_from_a_name():
    assert LINE.search("foresight cache gc --yes")
    assert LINE.search("Type: foresight extract model=pixels")
    assert not LINE.search("run foresight analyze first")
