"""Brace patterns, expanded as in a shell."""

from __future__ import annotations

import re
from itertools import product


def expand(pattern: str) -> list[str]:
    """Expand the braces in ``pattern`` as a shell does; a range may be one of several options.

    >>> expand("s/{08..10}-{a,b}.tar")[:3]
    ['s/08-a.tar', 's/08-b.tar', 's/09-a.tar']
    >>> expand("{0..2,7}.npy")
    ['0.npy', '1.npy', '2.npy', '7.npy']
    """
    parts = re.split(r"(\{[^{}]*\})", pattern)
    return ["".join(chosen) for chosen in product(*(_options(part) for part in parts))]


def _options(part: str) -> list[str]:
    if not part.startswith("{"):
        return [part]
    options: list[str] = []
    for option in part[1:-1].split(","):
        numbers = re.fullmatch(r"(\d+)\.\.(\d+)", option)
        if numbers:
            width = len(numbers[1])
            options += [f"{number:0{width}d}" for number in range(int(numbers[1]), int(numbers[2]) + 1)]
        else:
            options.append(option)
    return options


def pattern_of(values: list[str]) -> str | None:
    """Return ``s/{00..02}.tar`` for ``s/00.tar``, ``s/01.tar``, ``s/02.tar``; ``s/{a,b}`` for texts without numbers."""
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
        runs = _runs(numbers)
        if any(len(run) > 2 for run in runs) or len(runs) == 1:
            head, rest = start.removesuffix(shared), end.removeprefix(after)
            options = [f"{run[0]}..{run[-1]}" if len(run) > 1 else run[0] for run in runs]
            return f"{head}{{{','.join(options)}}}{rest}"
    return f"{start}{{{','.join(middles)}}}{end}" if all("," not in m for m in middles) else None


def _runs(numbers: list[str]) -> list[list[str]]:
    """Group consecutive numbers."""
    runs: list[list[str]] = []
    for number in numbers:
        if runs and int(number) == int(runs[-1][-1]) + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs


def _shared_start(texts: list[str]) -> str:
    first, last = min(texts), max(texts)
    return first[: next((i for i, letter in enumerate(first) if letter != last[i]), len(first))]
