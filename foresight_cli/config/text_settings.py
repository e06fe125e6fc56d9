"""Settings whose value is text, and how to quote a text so that Hydra reads back exactly the same characters."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from enum import Enum, auto
from functools import cache
from types import NoneType
from typing import Any, get_args, get_type_hints

PATHS = ("path", "checkpoint", "cache_dir", "outputs_dir", "unfinished_dir", "dir", "subdir")
"""Last parts of the keys of settings that are or may be a path."""


class Kind(Enum):
    """Kinds of text settings: they decide how a value is read."""

    TEXT = auto()
    PATH = auto()  # text for which null has no special meaning: it may be the name of a folder
    OPTIONAL = auto()  # text, or null
    LIST = auto()  # [a,b] of texts


@cache
def _kinds() -> dict[str, Kind]:
    """Return the kind of each text setting by its key, read from the schemas so that new settings are included."""
    from foresight_cli.config import GROUPS, AdaptConfig, AnalyzeConfig, ExtractConfig, ReportConfig, Waivers

    tables = [(f"{group}.", schema) for group, options in GROUPS.items() for schema in options.values()]
    tables += [("", schema) for schema in (ExtractConfig, AnalyzeConfig, AdaptConfig, ReportConfig)]
    tables.append(("verdict.", Waivers))
    by_key: dict[str, set[Kind | None]] = {}
    for prefix, schema in tables:
        hints = get_type_hints(schema)
        for name in (field.name for field in fields(schema)):
            by_key.setdefault(f"{prefix}{name}", set()).add(_kind(hints[name]))
    agreed = {key: kinds.pop() for key, kinds in by_key.items() if len(kinds) == 1}
    kinds = {key: kind for key, kind in agreed.items() if kind is not None}
    kinds |= {"keys": Kind.LIST, "older_than": Kind.OPTIONAL}  # foresight cache has no schema
    kinds |= {f"hydra.{key}": Kind.TEXT for key in ("run.dir", "sweep.dir", "sweep.subdir", "job.name")}
    return {k: Kind.PATH if kind is Kind.TEXT and k.split(".")[-1] in PATHS else kind for k, kind in kinds.items()}


def _kind(annotation: Any) -> Kind | None:
    parts = set(get_args(annotation)) - {NoneType}
    if annotation is str or parts == {str}:
        if getattr(annotation, "__origin__", None) in (list, tuple):
            return Kind.LIST
        return Kind.TEXT if annotation is str else Kind.OPTIONAL
    return Kind.LIST if parts == {str, Ellipsis} else None


def kind_of(key: str) -> Kind | None:
    """Return the kind of the setting ``key`` (of either side in analyze and adapt); None if its value is not text."""
    return _kinds().get(re.sub(r"^(source|target)\.", "", key.lstrip("+")))


def literal(text: str) -> str:
    """Return ``text`` with each ``${`` escaped, which OmegaConf would read as the value of a setting."""
    return re.sub(r"(\\*)(\$\{)", r"\1\1\\\2", text)


def quoted(text: str) -> str:
    """Return ``text`` in quotes that Hydra and OmegaConf remove again, whatever characters it contains."""
    return quoted_interpolation(literal(text))


def quoted_interpolation(text: str) -> str:
    """Return ``text`` in quotes; its ``${...}`` are still replaced by the values of other settings."""
    from hydra.core.override_parser.types import Quote, QuotedString

    return str(QuotedString(text, Quote.single).with_quotes())


def plain(text: str) -> bool:
    """Check whether Hydra reads ``text`` literally without quotes."""
    keywords = ("null", "true", "false", "nan", "inf")
    return bool(re.fullmatch(r"[A-Za-z/][A-Za-z0-9_/.:-]*", text)) and text.lower() not in keywords


def spelled(text: str) -> str:
    """Return ``text`` as the value of a Hydra override, with quotes where needed."""
    return text if plain(text) else quoted(text)


def means_itself(key: str, text: str) -> bool:
    """Check whether ``key=text``, without quotes for Hydra, gives exactly ``text`` in a single run and in a sweep."""
    kind = kind_of(key)
    if kind in (None, Kind.LIST) or (kind is not Kind.PATH and text.strip().lower() == "null"):
        return False
    special = "," in text or "${" in text or text.strip()[:1] in ("'", '"') or CALL.fullmatch(text.strip())
    return not special


CALL = re.compile(r"[A-Za-z_]\w*\s*\(.*\)", re.DOTALL)
"""Pattern of a call of one of Hydra's functions, for instance ``choice(a,b)``."""


def split_values(text: str) -> list[str]:
    """Split ``text`` at its commas, except those inside quotes or brackets.

    >>> split_values("a,'b,c',{d,e}")
    ['a', "'b,c'", '{d,e}']
    """
    parts, depth, quote = [""], 0, ""
    balanced = _balanced(text)
    for i, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote and not _escaped(text, i) else quote
        elif letter in "'\"" and not parts[-1].strip("[({ "):
            quote = letter if letter in text[i + 1 :] else ""
        elif balanced and letter in "[({":
            depth += 1
        elif balanced and letter in "])}":
            depth -= 1
        if letter == "," and not quote and depth <= 0 and not _escaped(text, i):
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _escaped(text: str, place: int) -> bool:
    before = text[:place]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


def _balanced(text: str) -> bool:
    stack = []
    pairs = {"]": "[", ")": "(", "}": "{"}
    for letter in text:
        if letter in "[({":
            stack.append(letter)
        elif letter in pairs and (not stack or stack.pop() != pairs[letter]):
            return False
    return not stack


def shell_line(words: list[str]) -> str:
    """Join ``words`` to a line for bash; a word with single quotes gets double quotes where that is easier to read."""
    return " ".join(map(_shell_word, words))


def _shell_word(word: str) -> str:
    if re.fullmatch(r"[\w@%+=:,./-]+", word):  # shlex also quotes letters of other scripts, which need no quotes
        return word
    if "'" in word and not re.search(r'["$`\\!\n]', word):
        return f'"{word}"'
    return shlex.quote(word)
