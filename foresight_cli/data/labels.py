"""Labels and groups of people's files: the name in a cell, or None if it holds none."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

from foresight_cli.errors import ForesightError

LONGEST = 1000
"""Most letters of a label or a group: a longer text is something else."""

FRACTION = "number with a fraction"


def label_of(value: Any, where: str, dropped: Counter[str]) -> str | None:
    """Return the category that ``value`` names; None if it names none.

    None, white space and NaN are no label. A number with a fraction is none either, because each such number would make
    a category of one sample; it is counted in ``dropped``.

    Args:
        value: text or a number, as a file or a column holds it.
        where: its place, for messages.
        dropped: counts values that were not taken, by reason.

    Raises:
        ForesightError: it is neither text nor a number, or no text that a person wrote.
    """
    text = name_of(value, where, "a label")
    if text is not None and _has_fraction(text):
        dropped[FRACTION] += 1
        return None
    return text


def name_of(value: Any, where: str, what: str) -> str | None:
    """Return ``value`` as a name; None for None, white space and numbers that are not finite.

    Raises:
        ForesightError: it is neither text nor a number, or no text that a person wrote.
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if not isinstance(value, str | int | float):
        raise ForesightError(f"{where} is of the type {type(value).__name__}: {what} is text or a number")
    text = str(value).strip()
    if text.lower() in ("", "nan"):
        return None
    if len(text) > LONGEST:
        raise ForesightError(f"{where} has {len(text):,} letters: it is no {what.removeprefix('a ')}")
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise ForesightError(f"{where} is {text[:40]!r}: {what} holds no control characters")
    return text


def _has_fraction(text: str) -> bool:
    """Check whether ``text`` is a number with a fraction; "inf" and "1e3" are not: a class may have such a name."""
    return bool(re.fullmatch(r"[-+]?\d*\.\d+(e[-+]?\d+)?", text, re.IGNORECASE)) and not float(text).is_integer()
