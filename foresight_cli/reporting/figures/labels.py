"""Text for figures: on one line, without control characters, cut to the available width."""

from __future__ import annotations

import textwrap
import unicodedata
from bisect import bisect_right
from itertools import accumulate

from foresight_cli.reporting.derived import layer_name
from foresight_cli.results import Space

JOINERS = "\u200c\u200d"
"""Joiners that change the shape of neighbouring characters, in Persian, Hindi and emoji."""
SELECTORS = "\ufe0e\ufe0f"
"""Variation selectors between an emoji's plain and coloured form: figures have only one form."""


def space_name(space: Space, width: int) -> str:
    """Return the name of a space, cut to ``width`` like :func:`shorten`, but with layer and pooling kept whole."""
    tail = f" {layer_name(space.layer)} {space.pooling}"
    return shorten(space.name.removesuffix(tail), max(width - len(tail), 6)) + clean(tail)


def balanced(title: str, width: int = 76) -> str:
    """Break ``title`` into as few lines as ``width`` allows, all of about the same length."""
    words = clean(title)
    lines = len(textwrap.wrap(words, width))
    while width > 1 and len(textwrap.wrap(words, width - 1)) == lines:
        width -= 1
    return textwrap.fill(words, width)


def clean(text: str) -> str:
    """Return ``text`` on one line, without control characters, with accents composed into their letters (NFC)."""
    composed = unicodedata.normalize("NFC", text)
    return "".join(c if c.isprintable() or c in JOINERS else " " for c in composed if c not in SELECTORS)


def shorten(text: str, width: int = 22) -> str:
    """Cut ``text`` to the room of ``width`` Latin letters, with an ellipsis; a Chinese character counts as two.

    >>> shorten("a category with a long name", 12)
    'a category …'
    >>> shorten("很长的类别名称", 8)
    '很长的…'
    """
    text = clean(text) or "(empty)"  # a legend leaves out an empty name too
    room = [0, *accumulate(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)]
    if room[-1] > width:
        text = text[: bisect_right(room, width - 1) - 1] + "…"
    return f" {text}" if text.startswith("_") else text  # a legend leaves out what starts with an underscore
