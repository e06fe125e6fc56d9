"""The drawings of the Q1 study; ``Shapes`` describes them under ``variant="q1"``."""

from __future__ import annotations

from random import Random

import numpy as np
from numpy.typing import NDArray

CATEGORIES = (
    "red circle",
    "blue circle",
    "green square",
    "yellow square",
    "purple triangle",
    "horizontal stripes",
    "vertical stripes",
    "warm gradient",
    "cool gradient",
)


def geometry(source: Random) -> tuple[int, int, int]:
    """Draw centre x, centre y and half-size, in pixels."""
    return source.randint(60, 196), source.randint(60, 196), source.randint(35, 60)


_COLOURS = {
    "red": ((180, 255), (0, 50), (0, 50)),
    "blue": ((0, 50), (0, 50), (180, 255)),
    "green": ((0, 50), (180, 255), (0, 50)),
    "yellow": ((200, 255), (200, 255), (0, 50)),
    "purple": ((100, 180), (0, 50), (100, 180)),
}


def draw(label: str, source: Random) -> NDArray[np.uint8]:
    """Draw one image of the study: pixels ``[256, 256, 3]``."""
    kind, form = label.split()
    y, x = np.mgrid[:256, :256]
    if form == "gradient":
        steep, green, flat = (2550 - 3 * y) // 10, (200 + y) // 2, np.full_like(y, 50)
        return np.stack([steep, green, flat] if kind == "warm" else [flat, green, steep], axis=2).astype(np.uint8)
    if form == "stripes":
        width = source.randint(12, 30)
        colour = [source.randint(0, 255) for _ in range(3)]
        inside = (y if kind == "horizontal" else x) // width % 2 == 0
    else:
        cx, cy, half = geometry(source)
        colour = [source.randint(*limits) for limits in _COLOURS[kind]]
        inside = _inside(form, x - cx, y - cy, half)
    return np.where(inside[:, :, None], np.array(colour), 255).astype(np.uint8)


def _inside(form: str, dx: NDArray[np.int64], dy: NDArray[np.int64], half: int) -> NDArray[np.bool_]:
    if form == "circle":
        return dx * dx + dy * dy <= half * half
    inside = (np.abs(dx) <= half) & (np.abs(dy) <= half)
    return inside & (2 * np.abs(dx) <= dy + half) if form == "triangle" else inside
