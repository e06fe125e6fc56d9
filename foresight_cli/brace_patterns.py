"""Brace patterns, as a shell expands them."""

from __future__ import annotations

import re
from itertools import product


def expand(pattern: str) -> list[str]:
    """What braces stand for, as a shell has it.

    >>> expand("s/{08..10}-{a,b}.tar")[:3]
    ['s/08-a.tar', 's/08-b.tar', 's/09-a.tar']
    """
    parts = re.split(r"(\{[^{}]*\})", pattern)
    return ["".join(chosen) for chosen in product(*(_options(part) for part in parts))]


def _options(part: str) -> list[str]:
    if not part.startswith("{"):
        return [part]
    if found := re.fullmatch(r"\{(\d+)\.\.(\d+)\}", part):
        first, last = found[1], found[2]
        return [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
    return part[1:-1].split(",")
