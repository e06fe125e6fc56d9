"""Markdown with text from outside (labels, ids, names of models), which must not break tables or become markup."""

from __future__ import annotations

import re
from typing import Any

import yaml
from markupsafe import Markup

LONGEST_LIST = 12


class Markdown(Markup):
    """Text that is Markdown already; :func:`escape` leaves it as it is, and so do templates."""

    __slots__ = ()


_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escape(text: str) -> Markdown:
    r"""Return ``text`` as Markdown that shows exactly that text, on one line; it is also safe in a table cell.

    >>> print(escape("a|b <i>`x`\n*y* channel_mean _z_"))
    a\|b &lt;i&gt;\`x\` \*y\* channel_mean \_z\_
    """
    if isinstance(text, Markup):  # also the text of a macro, whose parts are escaped
        return Markdown(text)
    line = "".join(c if c.isprintable() else " " for c in text)
    line = re.sub(r"[\\`*\[\]{}|~$]", r"\\\g<0>", line)
    line = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", line)
    line = re.sub(r"[&<>]", lambda match: _ENTITIES[match[0]], line)
    line = re.sub(r"^(\s*)([-+#=])", r"\1\\\2", line)
    return Markdown(re.sub(r"^(\s*\d+)([.)])(?=\s|$)", r"\1\\\2", line))


def code_block(text: str, language: str = "") -> Markdown:
    """Return ``text`` in a code fence that is longer than any fence in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markdown(f"{fence}{language}\n{text.rstrip()}\n{fence}")


def code_span(text: str) -> Markdown:
    """Return ``text`` as inline code.

    >>> print(code_span("a`b"))
    `` a`b ``
    """
    line = "".join(c if c.isprintable() else " " for c in text)
    if "`" not in line:
        return Markdown(f"`{line}`")
    fence = "`" * (1 + max(len(run) for run in re.findall(r"`+", line)))
    return Markdown(f"{fence} {line} {fence}")


def yaml_block(value: Any) -> Markdown:
    """Return settings or provenance as YAML; long lists are cut, since ``results.yaml`` has all items."""
    return code_block(yaml.safe_dump(shortened(value), sort_keys=False, allow_unicode=True, width=10_000), "yaml")


def shortened(value: Any) -> Any:
    """Return ``value`` with its long lists cut, each with the number of items left out."""
    if isinstance(value, dict):
        return {key: shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        more = len(value) - LONGEST_LIST
        return [shortened(item) for item in value[:LONGEST_LIST]] + ([f"... and {more} more"] if more > 0 else [])
    return value
