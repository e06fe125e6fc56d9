"""The settings whose value is text, and how a text is spelled so that Hydra reads back those very characters."""

from __future__ import annotations

import re
import shlex
from enum import Enum, auto
from functools import cache
from types import NoneType
from typing import Any, get_args, get_type_hints

PATHS = ("path", "checkpoint", "cache_dir", "outputs_dir", "unfinished_dir", "dir", "subdir")
"""Last parts of the keys of settings that are a path, or may be one."""


class Kind(Enum):
    """How the value of a setting is read."""

    TEXT = auto()
    PATH = auto()  # text of which null is no special one: a folder may be called so
    OPTIONAL = auto()  # text, or null
    LIST = auto()  # [a,b] of texts


@cache
def _kinds() -> dict[str, Kind]:
    """The kind of each text setting, by its key; read off the schemas, so that a new setting is known here too."""
    from foresight_cli.config import GROUPS, AdaptConfig, AnalyzeConfig, ExtractConfig, ReportConfig, Waivers

    tables = [(f"{group}.", schema) for group, options in GROUPS.items() for schema in options.values()]
    tables += [("", schema) for schema in (ExtractConfig, AnalyzeConfig, AdaptConfig, ReportConfig)]
    tables.append(("verdict.", Waivers))
    found: dict[str, set[Kind | None]] = {}
    for prefix, schema in tables:
        for name, annotation in get_type_hints(schema).items():
            found.setdefault(f"{prefix}{name}", set()).add(_kind(annotation))
    agreed = {key: kinds.pop() for key, kinds in found.items() if len(kinds) == 1}
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
    """The kind of the setting ``key`` (of either side, in analyze and adapt); None if its value is not text."""
    return _kinds().get(re.sub(r"^(source|target)\.", "", key.lstrip("+")))


def quoted(text: str) -> str:
    """``text`` in quotes that Hydra and OmegaConf take off again, whatever characters it has."""
    return _in_quotes(re.sub(r"(\\*)(\$\{)", r"\1\1\\\2", text))  # OmegaConf would read ${...} as a setting's value


def quoted_interpolation(text: str) -> str:
    """``text`` in quotes, its ``${...}`` still to be replaced by the value of another setting."""
    return _in_quotes(text)


def _in_quotes(text: str) -> str:
    return "'" + re.sub(r"(\\*)('|\Z)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), text) + "'"


def plain(text: str) -> bool:
    """Whether Hydra reads ``text`` as it is, without quotes."""
    keywords = ("null", "true", "false", "nan", "inf")
    return bool(re.fullmatch(r"[A-Za-z/][A-Za-z0-9_/.:-]*", text)) and text.lower() not in keywords


def spelled(text: str) -> str:
    """``text`` as the value of an override of Hydra: in quotes where it needs them."""
    return text if plain(text) else quoted(text)


def means_itself(key: str, text: str) -> bool:
    """Whether ``key=text``, typed without any quotes for Hydra, is that text in a single run and in a sweep."""
    kind = kind_of(key)
    if kind in (None, Kind.LIST) or (kind is not Kind.PATH and text.strip().lower() == "null"):
        return False
    special = "," in text or "${" in text or text.strip()[:1] in ("'", '"') or CALL.fullmatch(text.strip())
    return not special


CALL = re.compile(r"[A-Za-z_]\w*\s*\(.*\)", re.DOTALL)
"""What may be one of Hydra's functions, for instance ``choice(a,b)``."""


def split_values(text: str) -> list[str]:
    """The values between the commas of ``text``, quoted ones and those in brackets whole.

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
    """``words`` as a line for bash; a word with single quotes goes into double ones where that is easier to read."""
    return " ".join(map(_shell_word, words))


def _shell_word(word: str) -> str:
    if re.fullmatch(r"[\w@%+=:,./-]+", word):  # shlex quotes the letters of other scripts too
        return word
    if "'" in word and not re.search(r'["$`\\!\n]', word):
        return f'"{word}"'
    return shlex.quote(word)
