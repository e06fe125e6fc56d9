"""``data=shapes``: drawn pictures of shapes. Every factor is known, so one can measure how much of it a space keeps."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from foresight_cli.data import q1
from foresight_cli.data.clip import Clip
from foresight_cli.data.dataset import Sample
from foresight_cli.data.left_alone import LeftAlone
from foresight_cli.errors import ForesightError

Array = NDArray[np.float64]
RGB = tuple[int, int, int]

DRAWING = 1
"""Version of the drawing code: it is part of the cache key, so it must change whenever any pixel does."""

COLOURS = ("red", "yellow", "lime", "green", "teal", "blue")
SIZES = ("small", "large")
ROWS = ("top", "", "bottom")
COLUMNS = ("left", "", "right")


class Factor(NamedTuple):
    """A number drawn uniformly from ``words`` equal bands of [low, high), at least ``gap / 2`` from a band's borders.

    The gaps make the word of a caption ("left", "red") certain: no picture is on the border between two words.
    """

    low: float
    high: float
    words: int
    gap: float

    def draw(self, uniform: float) -> float:
        """Return the factor's value for a number in [0, 1)."""
        band, within = divmod(uniform * self.words, 1.0)
        width = (self.high - self.low) / self.words
        return self.low + band * width + self.gap / 2 + within * (width - self.gap)

    def word(self, value: float) -> int:
        """Return the index of the band that holds ``value``."""
        return min(int((value - self.low) / (self.high - self.low) * self.words), self.words - 1)


POSITION = Factor(0.25, 0.75, len(COLUMNS), 0.02)
SIZE = Factor(0.20, 0.30, len(SIZES), 0.01)
HUE = Factor(0.0, 0.6, len(COLOURS), 0.02)


class Shapes:
    """Drawn shapes, the same pixels on every machine.

    ``variant="default"`` has 8 categories, one per shape: circle, square, triangle, cross, ring, star, semicircle, bar.
    Position, size, hue, orientation and background (a light muted colour with a smooth gradient) are drawn
    independently of each other and of the category. No picture repeats and each is its own group. Picture i of a
    category depends only on (seed, category, i), so a larger ``per_category`` keeps the earlier pictures. Each has:

    - ``x``, ``y``: the object's centre of mass, as a fraction of the image from its left and top edges, in [.25, .75].
    - ``size``: the diameter of the circle of the same area, as a fraction of the image, in [.20, .30]. All shapes of
      one size cover the same area.
    - ``hue``: a fraction of the colour circle on the arc from red (0) over yellow (1/6), green (1/3) and cyan (1/2) to
      blue (.6). The arc does not wrap, so that hue can be read as an ordinary number. Colours of all hues have the
      same mean of R, G and B.

    ``variant="q1"`` redraws the 9 categories of the Q1 study, faults included: image i of every category comes from
    ``Random(seed + i)``, so that all categories share its geometry (group ``seed-<i>``), and every image of a
    gradient category is the same picture (one group). Circles, squares and the triangle have ``x``, ``y`` and
    ``size`` (full width as a fraction of the image); stripes and gradients have no attributes. The study's protocol
    fixes the ranges and the order (centre x, centre y, half-size, colour). It leaves these open; here they are:

    - colours are drawn in the order R, G, B; a square's unnamed channels are in [0, 50];
    - stripes draw a width and a colour in [0, 255] per channel and no centre; the first band is the coloured one;
    - a shape covers the pixels from centre - half-size to centre + half-size inclusive, without antialiasing;
    - gradients round down.

    Args:
        variant: "default" or "q1".
        per_category: pictures per category.
        seed: the source of all randomness.
        size: width and height in pixels; q1 is drawn at 256.

    Raises:
        ForesightError: an unknown variant, or a number out of range.
    """

    def __init__(self, variant: str = "default", per_category: int = 64, seed: int = 0, size: int = 256) -> None:
        if variant not in ("default", "q1"):
            raise ForesightError(f"data.variant={variant!r} is unknown; choose default or q1")
        if variant == "q1" and size != 256:
            raise ForesightError(f"data.variant=q1 is drawn at 256 pixels, as in the study; got data.size={size}")
        for name, value, least in (("per_category", per_category, 1), ("seed", seed, 0), ("size", size, 16)):
            if value < least:
                raise ForesightError(f"data.{name}={value} is too small; give {least} or more")
        self.variant, self.per_category, self.seed, self.size = variant, per_category, seed, size
        self.left_alone = LeftAlone()
        self.categories = tuple(_COVERAGES) if variant == "default" else q1.CATEGORIES
        describe = self._default_sample if variant == "default" else self._q1_sample
        self.samples = tuple(describe(c, i) for c in range(len(self.categories)) for i in range(per_category))

    def clip(self, index: int) -> Clip:
        """Return one frame: see :meth:`image`."""
        return Clip((self.image(index),))

    def image(self, index: int) -> Image.Image:
        """Draw the picture of ``samples[index]``: RGB, ``size`` x ``size``."""
        category, i = divmod(range(len(self.samples))[index], self.per_category)
        if self.variant == "q1":
            return Image.fromarray(q1.draw(self.categories[category], Random(self.seed + i)))
        return Image.fromarray(_draw(self.categories[category], self._uniforms(category, i), self.size))

    def identity(self) -> dict[str, Any]:
        """Return the arguments and the version of the drawing code."""
        return {
            "name": "shapes",
            "variant": self.variant,
            "per_category": self.per_category,
            "seed": self.seed,
            "size": self.size,
            "drawing": DRAWING,
        }

    def _uniforms(self, category: int, i: int) -> list[float]:
        return np.random.default_rng([self.seed, category, i]).random(10).tolist()  # type: ignore[no-any-return]

    def _default_sample(self, category: int, i: int) -> Sample:
        x, y, size, hue = _factors(self._uniforms(category, i))
        sample_id = f"{self.categories[category]}-{i:04d}"
        return Sample(sample_id, self.categories[category], sample_id, {"x": x, "y": y, "size": size, "hue": hue})

    def _q1_sample(self, category: int, i: int) -> Sample:
        label, attributes = self.categories[category], dict[str, float]()
        if label.split()[1] in ("circle", "square", "triangle"):
            x, y, half = q1.geometry(Random(self.seed + i))
            attributes = {"x": (x + 0.5) / 256, "y": (y + 0.5) / 256, "size": (2 * half + 1) / 256}
        group = label if "gradient" in label else f"seed-{self.seed + i}"
        return Sample(f"{label.replace(' ', '-')}-{i:04d}", label, group, attributes)


def caption(sample: Sample) -> str:
    """Return a caption for a picture of the default variant, such as "a small red circle at the top left"."""
    a = sample.attributes
    place = f"{ROWS[POSITION.word(a['y'])]} {COLUMNS[POSITION.word(a['x'])]}".strip() or "center"
    return f"a {SIZES[SIZE.word(a['size'])]} {COLOURS[HUE.word(a['hue'])]} {sample.label} at the {place}"


def _factors(uniforms: list[float]) -> tuple[float, float, float, float]:
    x, y, size, hue = uniforms[:4]
    return POSITION.draw(x), POSITION.draw(y), SIZE.draw(size), HUE.draw(hue)


def _cosine(turn: float) -> float:
    # Machines differ in the last digit of a cosine: it is rounded, and only + - * / sqrt follow, so all draw the same.
    return round(math.cos(2 * math.pi * turn), 9)


def _draw(shape: str, uniforms: list[float], size: int) -> NDArray[np.uint8]:
    """Draw pixels ``[size, size, 3]``: the shape in one colour, its edge antialiased, over a light background."""
    x, y, diameter, hue = _factors(uniforms)
    turn, lightness, tint, chroma, direction, slope = uniforms[4:]
    axis = (np.arange(size) + 0.5) / size
    background = 0.82 + 0.08 * lightness + 0.04 * chroma * _wheel(tint)
    ramp = 0.08 * slope * (_cosine(direction) * (axis - 0.5) + _cosine(direction - 0.25) * (axis[:, None] - 0.5))
    picture = background + ramp[:, :, None]

    reach = 0.85 * diameter  # no shape reaches further from its centre
    columns = slice(max(math.floor((x - reach) * size), 0), math.ceil((x + reach) * size))
    rows = slice(max(math.floor((y - reach) * size), 0), math.ceil((y + reach) * size))
    dx, dy = (axis[columns] - x) / diameter, (axis[rows, None] - y) / diameter
    cos, sin = _cosine(turn), _cosine(turn - 0.25)
    distance = _COVERAGES[shape](cos * dx + sin * dy, cos * dy - sin * dx)
    alpha = np.clip(0.5 - distance * (diameter * size), 0.0, 1.0)[:, :, None]
    picture[rows, columns] += alpha * (0.5 + 0.45 * _wheel(hue) - picture[rows, columns])
    picture *= 255
    picture += 0.5
    return picture.astype(np.uint8)


def _wheel(hue: float) -> Array:
    return np.array([_cosine(hue), _cosine(hue - 1 / 3), _cosine(hue - 2 / 3)])


def _length(u: Array, v: Array) -> Array:
    return np.sqrt(u * u + v * v)


def _box(u: Array, v: Array, width: float, height: float) -> Array:
    return np.maximum(np.abs(u) - width / 2, np.abs(v) - height / 2)


def _circle(u: Array, v: Array) -> Array:
    return _length(u, v) - 0.5


def _ring(u: Array, v: Array) -> Array:
    # Inner radius 0.6 of the outer one.
    return np.abs(_length(u, v) - 0.5) - 0.125


def _square(u: Array, v: Array) -> Array:
    side = math.sqrt(math.pi) / 2
    return _box(u, v, side, side)


def _bar(u: Array, v: Array) -> Array:
    height = math.sqrt(math.pi / 4 / 2.4)
    return _box(u, v, 2.4 * height, height)


def _cross(u: Array, v: Array) -> Array:
    span = math.sqrt(math.pi / 4 / 0.64)
    return np.minimum(_box(u, v, span, 0.4 * span), _box(u, v, 0.4 * span, span))


def _triangle(u: Array, v: Array) -> Array:
    inner = math.sqrt(math.pi / 4 / (3 * math.sqrt(3)))
    return np.maximum(v, math.sqrt(3) / 2 * np.abs(u) - 0.5 * v) - inner


def _semicircle(u: Array, v: Array) -> Array:
    radius = math.sqrt(0.5)
    v = v + 4 * radius / (3 * math.pi)  # the distance of the centre of mass from the straight side
    return np.maximum(_length(u, v) - radius, -v)


def _star(u: Array, v: Array) -> Array:
    """Return the distance to a five-pointed star, folded by its mirror lines to half of one point."""
    c, s, inner = 0.809016994375, 0.587785252292, 0.5
    radius = math.sqrt(math.pi / 4 / (5 * inner * s))
    u = np.abs(u)
    for side in (c, -c):
        beyond = 2 * np.maximum(side * u - s * v, 0.0)
        u, v = u - beyond * side, v + beyond * s
    u, v = np.abs(u), v - radius
    edge_u, edge_v = inner * s, inner * c - 1
    along = np.clip((u * edge_u + v * edge_v) / (edge_u * edge_u + edge_v * edge_v), 0.0, radius)
    return _length(u - along * edge_u, v - along * edge_v) * np.sign(v * edge_u - u * edge_v)


# Signed distances to the edge (negative inside) of shapes as large as the circle of diameter 1, mass centred on (0, 0).
_COVERAGES: dict[str, Callable[[Array, Array], Array]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "cross": _cross,
    "ring": _ring,
    "star": _star,
    "semicircle": _semicircle,
    "bar": _bar,
}
