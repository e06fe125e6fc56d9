"""Tests of the language: plain English in code, templates and docs, without the words that made it hard to read."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("foresight_cli", "tests", "benchmarks", "scripts", "docs", "conf")
FILES = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".j2", ".md", ".yaml") and path.is_file()
)
PAGES = sorted(ROOT.glob("*.md"))

NAMES = {"said", "found", "given", "there", "mine", "told", "known", "one", "here"}
"""Names that say too little: the noun is better."""
PUBLIC = {("foresight_cli/metrics/partial_cka.py", "given")}
"""Parameters that users may have typed."""

PROSE = re.compile(
    r"\b(said|told|anew|nobody|whoever|besides|stands?|lies|lie|so many|of (?:its|their|your|his) own|goes on|go on"
    r"|mend|mends|mended)\b",
    re.IGNORECASE,
)
"""Words that made sentences compressed or unusual; docs/ and messages have plainer ones."""
ALLOWED = (
    "rows stand for each other and nobody tells",  # names of simulated scenarios, which seed their draws
    "and nobody tells them",
    "nobody tells",
    "~nobody",  # a user's name
    "would have said",  # the rule of the Q1 study
)

CLAUSE = re.compile(r"(What|How|Where|Which|Whether|Why|When|Who|That)\b")


def prose(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the text in ``file`` that a person reads, with line numbers: of Python, comments and strings."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".py":
        yield from enumerate(text.splitlines(), 1)
        return
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", -1)}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in kinds:
            yield from enumerate(token.string.splitlines(), token.start[0])


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield each name that a module gives to a variable, parameter, attribute, function or class, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.lineno, node.name


def plain(line: str) -> str:
    """Return ``line`` without the phrases that are allowed."""
    for phrase in ALLOWED:
        line = line.replace(phrase, "")
    return line


@pytest.mark.parametrize("folder", [*FOLDERS, "."])
def test_prose_has_no_dropped_words(folder):
    files = PAGES if folder == "." else [file for file in FILES if file.is_relative_to(ROOT / folder)]
    assert files
    offences = [
        f"{file.relative_to(ROOT)}:{number}: {match[0]}"
        for file in files
        if file != Path(__file__).resolve()
        for number, line in prose(file)
        for match in PROSE.finditer(plain(line))
    ]
    assert offences == []


def test_names_are_nouns():
    offences = [
        f"{place}:{number}: {name}"
        for file in FILES
        if file.suffix == ".py"
        for place in [str(file.relative_to(ROOT))]
        for number, name in names(ast.parse(file.read_text(encoding="utf-8")))
        if name in NAMES and (place, name) not in PUBLIC
    ]
    assert offences == []


def test_docstrings_say_what_the_code_does():
    """A function, class or module is described by a sentence or a noun, not by a clause such as "What it holds"."""
    offences = [
        f"{file.relative_to(ROOT)}: {docstring.splitlines()[0]}"
        for file in FILES
        if file.suffix == ".py" and file.is_relative_to(ROOT / "foresight_cli")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        for docstring in [ast.get_docstring(node) or ""]
        if CLAUSE.match(docstring)
    ]
    assert offences == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("column id stands twice", ["stands"]),
        ("Nobody says so; of its own", ["Nobody", "of its own"]),
        ("it outlies, understands and is foretold", []),
        ("a bridge, and nobody tells them", []),
    ],
)
def test_what_counts_as_a_dropped_word(text, words):
    assert [match[0] for match in PROSE.finditer(plain(text))] == words
