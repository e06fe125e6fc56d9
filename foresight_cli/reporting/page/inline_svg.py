"""Figures inside a page: colours follow the page's theme, letters are stored once, and all ids are unique."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterable
from xml.etree import ElementTree

from markupsafe import Markup

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
DARK_PAPER = "#15191e"
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_KEPT = ("#fefefe", "#121212")
"""Colours of text on a heatmap's cells, which do not change with the theme of the page."""


class Figures:
    """The SVG figures of one page.

    Attributes:
        glyphs: outlines of letters that figures share, by id.
        colours: every colour that changes with the theme.
    """

    def __init__(self) -> None:
        self.glyphs: dict[str, str] = {}
        self.colours: set[str] = set()

    def inline(self, name: str, data: bytes, label: str) -> Markup:
        """Return the figure ``data`` (an SVG of matplotlib) as an element of the page.

        Args:
            name: name of the figure; its ids begin with it.
            data: bytes of the SVG file.
            label: text for a screen reader.
        """
        root = ElementTree.fromstring(data)
        for parent in list(root.iter()):
            for child in list(parent):
                kind = child.tag.removeprefix(f"{{{SVG}}}")
                if kind in ("metadata", "style"):
                    parent.remove(child)
                elif kind == "defs":
                    self._take_glyphs(child)
                    if not len(child):
                        parent.remove(child)
        own = {element.get("id"): f"{name}-{element.get('id')}" for element in root.iter() if element.get("id")}
        for element in root.iter():
            self._rewrite(element, own)
        for size in ("width", "height", "version"):
            root.attrib.pop(size, None)
        root.set("role", "img")
        root.set("aria-label", label)
        root.set("stroke-linejoin", "round")
        return Markup(_text(root))

    def sprite(self) -> Markup:
        """Return the letters of all figures, to be put in the page once, before the figures."""
        letters = "".join(text for _, text in sorted(self.glyphs.items()))
        return Markup(f'<svg class="sprite" aria-hidden="true" focusable="false"><defs>{letters}</defs></svg>')

    def palette(self) -> tuple[Markup, Markup]:
        """Return CSS declarations of every colour, for the light theme and for the dark theme."""
        ordered = sorted(self.colours)
        light = "".join(f"--c{colour[1:]}:{colour};" for colour in ordered)
        return Markup(light), Markup("".join(f"--c{colour[1:]}:{on_dark(colour)};" for colour in ordered))

    def _take_glyphs(self, defs: ElementTree.Element) -> None:
        for child in list(defs):
            name = child.get("id") or ""
            if re.fullmatch(r"DejaVu\w+(-\w+)?-[0-9a-f]+", name):
                child.set("d", " ".join((child.get("d") or "").split()))
                self.glyphs[name] = _text(child)
                defs.remove(child)

    def _rewrite(self, element: ElementTree.Element, own: dict[str | None, str]) -> None:
        for key, value in list(element.attrib.items()):
            if key == "id":
                element.set(key, own[value])
            elif key in ("href", f"{{{XLINK}}}href"):
                del element.attrib[key]
                target = own.get(value[1:], value[1:]) if value.startswith("#") else ""
                element.set("href", f"#{target}" if target else "".join(value.split()))
            elif key in ("style", "clip-path"):
                value = re.sub(r"url\(#([\w.-]+)\)", lambda match: f"url(#{own.get(match[1], match[1])})", value)
                element.set(key, _COLOUR.sub(self._variable, value))
            elif key == "d":
                element.set(key, " ".join(value.split()))

    def _variable(self, match: re.Match[str]) -> str:
        if match[0] in _KEPT:
            return match[0]
        self.colours.add(match[0])
        return f"var(--c{match[0][1:]})"


def on_dark(colour: str) -> str:
    """Return the dark theme's colour for a colour of the light theme.

    Greys and pale colours are inverted; strong ones become lighter until they have the contrast of text.

    >>> on_dark("#ffffff"), on_dark("#111111"), on_dark("#0072b2")
    ('#15191e', '#dcdee1', '#0089d6')
    """
    red, green, blue = _rgb(colour)
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    if saturation < 0.08 or lightness > 0.78:
        share = (1.0 - lightness) / (1.0 - 0.067)
        return _hex(*(low + share * (high - low) for low, high in zip(_rgb(DARK_PAPER), _rgb("#dcdee1"), strict=True)))
    while _contrast(colorsys.hls_to_rgb(hue, lightness, saturation), _rgb(DARK_PAPER)) < 4.5:
        lightness += 0.01
    return _hex(*colorsys.hls_to_rgb(hue, lightness, saturation))


def _rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _hex(*rgb: float) -> str:
    return "#" + "".join(f"{round(255 * min(1.0, max(0.0, part))):02x}" for part in rgb)


def _contrast(first: Iterable[float], second: Iterable[float]) -> float:
    """Return the contrast ratio of two colours. Source: WCAG 2.2, relative luminance and contrast ratio."""
    high, low = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(rgb: Iterable[float]) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _text(element: ElementTree.Element) -> str:
    for each in element.iter():
        each.tag = each.tag.removeprefix(f"{{{SVG}}}")
        each.text, each.tail = None, None
    return ElementTree.tostring(element, encoding="unicode")
