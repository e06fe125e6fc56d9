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


def pattern_of(values: list[str]) -> str | None:
    """``s/{00..02}.tar`` for ``s/00.tar``, ``s/01.tar``, ``s/02.tar``; ``s/{a,b}`` for texts that are no numbers."""
    start = _shared_start(values)
    end = _shared_start([value[len(start) :][::-1] for value in values])[::-1]
    middles = [value[len(start) : len(value) - len(end)] for value in values]
    if not (start or end) or not all(middles) or any("/" in middle for middle in middles):
        return None
    digits = re.search(r"\d*$", start)
    if all(middle.isdigit() for middle in middles) and digits:
        shared, tail = digits[0], re.match(r"\d*", end)
        after = tail[0] if tail else ""
        numbers = [f"{shared}{middle}{after}" for middle in middles]
        if [int(n) for n in numbers] == list(range(int(numbers[0]), int(numbers[0]) + len(numbers))):
            head, rest = start.removesuffix(shared), end.removeprefix(after)
            return f"{head}{{{numbers[0]}..{numbers[-1]}}}{rest}"
    return f"{start}{{{','.join(middles)}}}{end}" if all("," not in m for m in middles) else None


def _shared_start(texts: list[str]) -> str:
    first, last = min(texts), max(texts)
    return first[: next((i for i, letter in enumerate(first) if letter != last[i]), len(first))]
