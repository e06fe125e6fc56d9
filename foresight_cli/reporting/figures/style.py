"""The style of every figure: 900 px wide, the finding as its title, lines labelled where they are drawn."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from foresight_cli.reporting.figures.fonts import BASE, lay_out
from foresight_cli.reporting.figures.labels import balanced, clean
from foresight_cli.results import Analysis

Arrays = Mapping[str, "np.ndarray[Any, np.dtype[Any]]"]
Draw = Callable[[Analysis, Arrays], Figure]

DPI = 120
WIDTH = 7.5  # inches: 900 px
SOURCE, TARGET = "#0072B2", "#D55E00"  # Okabe-Ito blue and vermillion
CONTROL, NOTE = "#444444", "#767676"
SERIES = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#8A6D00", "#332288")
CATEGORIES = ("#332288", "#E69F00", "#44AA99", "#CC3311", "#4FA8D8", "#117733", "#AA4499", "#999933", "#555555")
MARKERS = ("o", "s", "^", "D", "v")  # 9 colours and 5 markers: 45 categories that differ without colour vision too
MOST_CATEGORIES = 40
OTHER = "#BBBBBB"
ON_DARK, ON_LIGHT = "#FEFEFE", "#121212"  # text on coloured cells; other greys follow the theme of a page
MOST_VECTOR = 2000
"""Most points of a scatter that are drawn as vectors, which follow the theme; more become a picture."""

_RC: dict[Any, Any] = {
    "text.parse_math": False,  # a label with dollar signs is no formula
    "svg.hashsalt": "foresight",
    "figure.dpi": DPI,
    "font.family": [BASE],
    "font.size": 9,
    "text.color": "#111111",  # black would be left out of an SVG, and could not follow a page's theme
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.labelcolor": "#333333",
    "axes.edgecolor": "#888888",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "xtick.labelcolor": "#333333",
    "ytick.labelcolor": "#333333",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "image.interpolation": "nearest",
}


class NotMeasured(Exception):
    """Raised when a figure cannot be drawn because its content was not measured; the text gives the reason."""


_WHY = {
    "tsne": "no t-SNE was made of this space",
    "channels": "single channels can be measured only where both poolings of a video autoencoder are cached",
    "spatial": "single cells can be measured only where both poolings of a video autoencoder are cached",
    "probe": "no held-out predictions were kept",
    "rsa": "no distances were kept, or the data has no categories",
    "neighborhood/ranks": "no ranks of neighbours were kept",
    "neighborhood": "the pictures could not be opened again",
    "duplicates": "there are no duplicates, or the pictures could not be opened again",
    "thumbnails": "the pictures could not be opened again",
}


@contextmanager
def style() -> Iterator[None]:
    """Set the style for figures drawn and saved in this context; global settings are restored afterwards."""
    finder = logging.getLogger("matplotlib.font_manager")  # warns of fonts that have no bold letters
    level = finder.level
    with mpl.rc_context(_RC), warnings.catch_warnings():
        # Characters that no font has show as boxes; encode() returns them, and the report names them once.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font", category=UserWarning)
        finder.setLevel(logging.ERROR)
        try:
            yield
        finally:
            finder.setLevel(level)


def encode(figure: Figure, lost: set[str] | None = None) -> dict[str, bytes]:
    """Return the PNG and SVG of a figure, by extension; the same bytes at every run. Call inside :func:`style`.

    Characters that no font on this machine has are added to ``lost``.
    """
    boxes = lay_out(figure)  # once, for both
    if lost is not None:
        lost.update(boxes)
    figure.set_layout_engine("none")
    files = {}
    metadata: dict[str, dict[str, str | None]] = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
    for kind, described in metadata.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=DPI, metadata=described)
        files[kind] = buffer.getvalue()
    return files


def need(arrays: Arrays, *names: str) -> list[np.ndarray[Any, np.dtype[Any]]]:
    """Return the arrays called ``names``.

    Raises:
        NotMeasured: the analysis kept no array of that name.
    """
    for name in names:
        if name not in arrays or not arrays[name].size:
            raise NotMeasured(_WHY.get(name) or _WHY[name.partition("/")[0]])
    return [arrays[name] for name in names]


def new_figure(title: str, height: float, *, square: bool = False) -> Figure:
    """Return an empty figure of the report's width; ``title``: the finding; ``square``: axes keep their aspect."""
    engine = ConstrainedLayoutEngine(w_pad=0.07, h_pad=0.07, compress=square)
    figure = Figure(figsize=(WIDTH, height), layout=engine)
    figure.suptitle(balanced(title), x=0.012, ha="left", fontsize=11.5, fontweight="bold", color="#111111")
    return figure


def title_of(figure: Figure) -> str:
    """Return the finding that ``figure`` states, on one line."""
    return " ".join(figure.get_suptitle().split())


def sorted_labels(results: Analysis) -> list[str]:
    """Return the categories, in the order used by the arrays."""
    return sorted(results.labels)


def category_style(index: int) -> tuple[str, str]:
    """Return colour and marker of the category at ``index``."""
    return CATEGORIES[index % len(CATEGORIES)], MARKERS[index % len(MARKERS)]


@dataclass(frozen=True)
class Rule:
    """A line across a plot (a threshold, chance, a control), labelled at its end."""

    value: float
    label: str
    color: str = NOTE
    dashes: str | tuple[int, tuple[int, ...]] = (0, (4, 3))


def label_right(ax: Axes, rules: Sequence[Rule], *, draw: bool = True) -> None:
    """Draw ``rules`` across ``ax`` with their labels at its right, moved apart where they would touch.

    Set the limits of the y axis first. ``draw=False`` writes only the labels (for curves that end there).
    """
    low, high = ax.get_ylim()
    figure: Any = ax.get_figure()
    gap = 0.155 / max(figure.get_figheight() - 1.1, 0.5)  # a line of text, as a share of the axes' height
    ordered = sorted(rules, key=lambda rule: rule.value)
    places: list[float] = []
    for rule in ordered:
        at = (rule.value - low) / (high - low)
        places.append(max(at, places[-1] + gap) if places else at)
    beyond = places[-1] - 1.0 if places else 0.0
    if beyond > 0:  # push back down from the top
        places[-1] = 1.0
        for i in range(len(places) - 2, -1, -1):
            places[i] = min(places[i], places[i + 1] - gap)
    for rule, place in zip(ordered, places, strict=True):
        if draw:
            ax.axhline(rule.value, color=rule.color, linestyle=rule.dashes, linewidth=1.0, zorder=1)
        at = (rule.value - low) / (high - low)
        moved = abs(place - at) > gap / 4
        ax.annotate(
            clean(rule.label),
            xy=(1.0, at),
            xytext=(1.035 if moved else 1.012, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            ha="left",
            va="center",
            fontsize=8,
            color=rule.color,
            arrowprops={
                "arrowstyle": "-",
                "color": rule.color,
                "linewidth": 0.6,
                "shrinkA": 0,
                "shrinkB": 0,
                "relpos": (0.0, 0.5),
            }
            if moved
            else None,
            annotation_clip=False,
        )


def label_top(ax: Axes, rules: Sequence[Rule]) -> None:
    """Draw vertical ``rules`` in ``ax`` with their labels on top; set the limits of the x axis first."""
    low, high = ax.get_xlim()
    ordered = sorted(rules, key=lambda rule: rule.value)
    for i, rule in enumerate(ordered):
        ax.axvline(rule.value, color=rule.color, linestyle=rule.dashes, linewidth=1.0, zorder=1)
        near_next = i + 1 < len(ordered) and (ordered[i + 1].value - rule.value) / (high - low) < 0.35
        near_last = i > 0 and (rule.value - ordered[i - 1].value) / (high - low) < 0.35
        at = (rule.value - low) / (high - low)
        side = "right" if (near_next and at > 0.2) or at > 0.9 else "left" if near_last or at < 0.1 else "center"
        ax.annotate(
            clean(rule.label),
            xy=(rule.value, 1.0),
            xytext=({"right": -2, "left": 2, "center": 0}[side], 3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha=side,
            fontsize=8,
            color=rule.color,
            annotation_clip=False,
        )


def rows_down(ax: Axes, names: Sequence[str]) -> None:
    """Name the rows of a dot plot, the first on top."""
    ax.set_yticks(range(len(names)), list(names))
    ax.set_ylim(len(names) - 0.4, -0.6)


def grid(ax: Axes, axis: Literal["x", "y"] = "y") -> None:
    """Draw faint lines behind the data."""
    ax.grid(True, axis=axis, color="#E6E6E6", linewidth=0.7, zorder=0)
    ax.set_axisbelow(True)


def log_ticks(ax: Axes, values: Sequence[float]) -> None:
    """Make the x axis logarithmic, with ticks at exactly ``values``, written as plain numbers."""
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(list(values)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())


def ticks_1_2_5(low: float, high: float) -> list[float]:
    """Return 1, 2, 5, 10, 20 ... within ``[low, high]``; only powers of ten over more than four decades.

    >>> ticks_1_2_5(1, 50)
    [1.0, 2.0, 5.0, 10.0, 20.0, 50.0]
    """
    low, high = max(low, 1e-6), max(high, low * 1.01, 1e-6)
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    steps = (1, 2, 5) if len(decades) <= 4 else (1,)
    return [float(step * 10.0**d) for d in decades for step in steps if low * 0.999 <= step * 10.0**d <= high * 1.001]


def nice_limits(values: Sequence[float | None], *, include: Sequence[float] = (0.0,)) -> tuple[float, float]:
    """Return axis limits that contain ``values`` and ``include`` with a little room."""
    finite = [v for v in (*values, *include) if v is not None and np.isfinite(v)]
    low, high = min(finite), max(finite)
    room = 0.06 * ((high - low) or 1.0)
    return (low - room if low < 0 else min(low, 0.0), high + room)
