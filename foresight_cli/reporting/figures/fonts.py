"""Fonts for labels in scripts that the figures' own font lacks, taken from those installed on this machine.

matplotlib falls back from one family to the next letter by letter. The families to name depend on the text
and on the installed fonts.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from functools import cache

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

BASE = "DejaVu Sans"
"""The font of every figure; it comes with matplotlib, and has Latin, Greek, Cyrillic, Arabic, Hebrew and symbols."""
BOXES = ("Last Resort", "LastResort", "Adobe Blank")
"""Fonts that have a box or nothing for every character."""
COARSE = ("Unifont", "Unifont Upper")
"""Fonts with nearly every character that look coarse: used only where no other font has a character."""
SHOWN = 20

PACKAGES = (
    ("fonts-noto-cjk", ((0x1100, 0x11FF), (0x2E80, 0xA4CF), (0xA960, 0xA97F), (0xAC00, 0xD7FF), (0xF900, 0xFAFF),
                        (0xFE30, 0xFE4F), (0xFF00, 0xFFEF), (0x20000, 0x3FFFF))),
    ("fonts-symbola", ((0x2190, 0x2BFF), (0x1F000, 0x1FAFF))),
    ("fonts-noto-core", ((0, 0x10FFFF),)),
)  # fmt: skip
"""Debian packages, and the first and last code point that each is for; the first that fits is advised."""


def lay_out(figure: Figure) -> str:
    """Lay ``figure`` out, with more fonts for texts that need them; return the characters that no font has."""
    figure.draw_without_rendering()  # ticks have their labels from here on
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    needed = foreign("".join(text.get_text() for text in texts))
    families, lost = families_for(needed) if needed else ((), "")
    if families:
        for text in texts:
            if foreign(text.get_text()):
                text.set_fontfamily([BASE, *families])
        figure.draw_without_rendering()
    return lost


def no_font(characters: Iterable[str]) -> str:
    """Return one line about characters that no font on this machine has.

    Example:
        >>> no_font("片照")
        'no font on this machine has 照片, so figures show boxes there; install fonts-noto-cjk'
    """
    ordered = sorted(set(characters))
    packages = dict.fromkeys(_package(ord(character)) for character in ordered)
    shown = "".join(ordered[:SHOWN]) + ("…" if len(ordered) > SHOWN else "")
    return f"no font on this machine has {shown}, so figures show boxes there; install {' and '.join(packages)}"


def foreign(text: str) -> str:
    """Return the characters of ``text`` that `BASE` lacks, each once, in order."""
    if text.isascii():
        return ""
    own = _letters(font_manager.findfont(BASE), 0)
    others = {c for c in text if ord(c) not in own and c.isprintable() and unicodedata.category(c) != "Cf"}
    return "".join(sorted(others))


@cache
def families_for(characters: str) -> tuple[tuple[str, ...], str]:
    """Return few font families that together have ``characters`` (greedy choice), and the characters that none has."""
    left, families = set(characters), list[str]()
    for coarse in (False, True):
        fonts = [font for font in _installed() if font.name.startswith(COARSE) == coarse]
        while left and fonts:
            covers = [{c for c in left if ord(c) in _letters(font.fname, font.index)} for font in fonts]
            best = max(range(len(fonts)), key=lambda i: len(covers[i]))
            if not covers[best]:
                break
            families.append(fonts[best].name)
            left -= covers[best]
    return tuple(families), "".join(sorted(left))


@cache
def _installed() -> list[FontEntry]:
    """Return every fallback font, plain ones first; also fonts installed since matplotlib made its list."""
    manager = font_manager.fontManager
    listed = {font.fname for font in manager.ttflist}
    for path in font_manager.findSystemFonts():
        if path not in listed:
            with suppress(Exception):  # a bitmap font, or a damaged one
                manager.addfont(path)
    fonts = [font for font in manager.ttflist if font.name != BASE and not font.name.startswith(BOXES)]
    return sorted(fonts, key=_preference)


def _preference(font: FontEntry) -> tuple[bool, bool, int, str]:
    weight = font.weight if isinstance(font.weight, int) else 400
    return font.style != "normal", "Sans" not in font.name, abs(weight - 400), font.name


@cache
def _letters(path: str, index: int) -> frozenset[int]:
    """Return the code points that a font has; empty if it cannot be read."""
    try:
        return frozenset(_face(path, index).get_charmap())
    except Exception:
        return frozenset()


def _face(path: str, index: int) -> FT2Font:
    return FT2Font(path, face_index=index) if index else FT2Font(path)


def _package(code: int) -> str:
    return next(name for name, ranges in PACKAGES if any(first <= code <= last for first, last in ranges))
