"""Tests that no message contains a fixed command with settings: such a line is built from the typed words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "foresight_cli"
LINE = re.compile(r"foresight (?:extract|analyze|adapt|report) (?:-m |--)?[\w@.]+=|foresight cache \w+ (?:--|\w+=)")
WRITTEN = {"cli/commands.py": "foresight extract weights=tiny model=qwen25vl layer=all"}
"""Lines for a user who has typed nothing yet, by file."""


def texts(tree: ast.AST) -> Iterator[str]:
    """Yield every string of a module except its docstrings."""
    docstrings = {id(statement.value) for statement in ast.walk(tree) if isinstance(statement, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_lines_with_settings_are_built_from_the_typed_words():
    written = {
        str(file.relative_to(PACKAGE)): text
        for file in sorted(PACKAGE.rglob("*.py"))
        for text in texts(ast.parse(file.read_text(encoding="utf-8")))
        if LINE.search(text)
    }
    assert written.keys() == WRITTEN.keys()
    assert all(line in written[name] for name, line in WRITTEN.items())


def test_a_line_is_distinguished_from_a_name():
    assert LINE.search("foresight cache gc --yes")
    assert LINE.search("Type: foresight extract model=pixels")
    assert not LINE.search("run foresight analyze first")
