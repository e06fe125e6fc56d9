"""Text of others (labels, ids, names of models) inside Markdown: it must break no table and become no markup."""

from __future__ import annotations

import re
from typing import Any

import yaml

LONGEST_LIST = 12


class Markdown(str):
    """Text that is Markdown already; :func:`escape` leaves it as it is."""

    __slots__ = ()


_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escape(text: str) -> Markdown:
    r"""``text`` as Markdown that shows exactly that text, on one line, in a table cell too.

    >>> print(escape("a|b <i>`x`\n*y* channel_mean _z_"))
    a\|b &lt;i&gt;\`x\` \*y\* channel_mean \_z\_
    """
    if isinstance(text, Markdown):
        return text
    line = "".join(c if c.isprintable() else " " for c in text)
    line = re.sub(r"[\\`*\[\]{}|~$]", r"\\\g<0>", line)
    line = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", line)
    line = re.sub(r"[&<>]", lambda match: _ENTITIES[match[0]], line)
    line = re.sub(r"^(\s*)([-+#=])", r"\1\\\2", line)
    return Markdown(re.sub(r"^(\s*\d+)([.)])(?=\s|$)", r"\1\\\2", line))


def code_block(text: str, language: str = "") -> Markdown:
    """``text`` in a fence that no line of it can close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markdown(f"{fence}{language}\n{text.rstrip()}\n{fence}")


def code_span(text: str) -> Markdown:
    """``text`` as code within a line.

    >>> print(code_span("a`b"))
    `` a`b ``
    """
    line = "".join(c if c.isprintable() else " " for c in text)
    if "`" not in line:
        return Markdown(f"`{line}`")
    fence = "`" * (1 + max(len(run) for run in re.findall(r"`+", line)))
    return Markdown(f"{fence} {line} {fence}")


def yaml_block(value: Any) -> Markdown:
    """Settings and provenance as YAML; long lists are cut, since ``results.yaml`` has all of them."""
    return code_block(yaml.safe_dump(shortened(value), sort_keys=False, allow_unicode=True, width=10_000), "yaml")


def shortened(value: Any) -> Any:
    """``value`` with its long lists cut, and how many items they had more."""
    if isinstance(value, dict):
        return {key: shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        more = len(value) - LONGEST_LIST
        return [shortened(item) for item in value[:LONGEST_LIST]] + ([f"... and {more} more"] if more > 0 else [])
    return value
