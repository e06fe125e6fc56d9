"""Files, tar members and rows that a dataset passes over, counted by kind, so that nothing is dropped silently."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MOST_KINDS = 8
"""Most kinds that one line names; the manifest has all of them."""

SYSTEM_FILES = frozenset({"desktop.ini", "ehthumbs.db", "thumbs.db"})
"""Files that Windows writes itself, in lower case; those of macOS and Linux start with a dot."""

NO_SUFFIX = "without a suffix"


@dataclass(frozen=True)
class LeftAlone:
    """Counts of what a dataset passes over.

    Attributes:
        counts: by noun ("files", "samples") and by kind (".txt", "without a picture").
        note: the kinds that are read, for the line.
    """

    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    note: str = ""

    def __bool__(self) -> bool:
        """Check whether anything was passed over."""
        return any(self.counts.values())

    @property
    def line(self) -> str:
        """One line with all counts: "3 files left alone: 2 .heic, 1 .txt (data=imagefolder reads .jpg)"."""
        parts = [
            f"{_number(sum(kinds.values()), noun)} left alone: {listed(kinds)}"
            for noun, kinds in self.counts.items()
            if kinds
        ]
        return "; ".join(parts) + (f" ({self.note})" if self.note else "")

    def as_json(self) -> dict[str, dict[str, int]]:
        """Return the counts for a manifest, without those that are zero."""
        return {noun: dict(sorted(kinds.items())) for noun, kinds in sorted(self.counts.items()) if kinds}


def listed(kinds: Mapping[str, int]) -> str:
    """Return counts by kind in words, the most frequent first: "2 .heic, 1 .txt"."""
    order = sorted(kinds, key=lambda kind: (-kinds[kind], kind))
    named = [f"{kinds[kind]} {kind}" for kind in order[:MOST_KINDS]]
    rest = sum(kinds[kind] for kind in order[MOST_KINDS:])
    return ", ".join([*named, *([f"{rest} of other kinds"] if rest else [])])


def suffix_of(name: str) -> str:
    """Return the suffix that a file is counted under, in lower case with its dot.

    >>> suffix_of("a/IMG.HEIC"), suffix_of("notes"), suffix_of("v1.final cut")
    ('.heic', 'without a suffix', 'without a suffix')
    """
    base = name.rpartition("/")[2]
    stem, dot, suffix = base.rpartition(".")
    return f".{suffix.lower()}" if stem and dot and re.fullmatch(r"[\w-]{1,12}", suffix) else NO_SUFFIX


def _number(count: int, plural: str) -> str:
    return f"{count} {plural.removesuffix('s') if count == 1 else plural}"
