"""A matrix as coloured cells, with the values written in where there is room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from foresight_cli.reporting.figures.labels import shorten
from foresight_cli.reporting.figures.style import ON_DARK, ON_LIGHT
from foresight_cli.results.numbers import fixed

Matrix = np.ndarray[Any, np.dtype[Any]]


def heatmap(
    ax: Axes,
    matrix: Matrix,
    *,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    values: bool = False,
    limits: tuple[float, float] | None = None,
    colours: str = "viridis",
    digits: int = 2,
) -> AxesImage:
    """Draw ``matrix`` ``[r, c]``; NaN cells stay white. Labels shrink as they become many."""
    low, high = limits or (float(np.nanmin(matrix)), float(np.nanmax(matrix)))
    image = ax.imshow(matrix, cmap=colours, vmin=low, vmax=high if high > low else low + 1e-9, aspect="auto")
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.tick_params(length=0)
    if rows:
        ax.set_yticks(range(len(rows)), [shorten(name, 26) for name in rows], fontsize=_size(len(rows)))
    if columns:
        turned = len(columns) > 6 or max(map(len, columns)) * len(columns) > 60
        ax.set_xticks(
            range(len(columns)),
            [shorten(name, 26) for name in columns],
            fontsize=_size(len(columns)),
            rotation=90 if turned else 0,
        )
    if values:
        size = 9.0 if matrix.shape[1] <= 6 else 7.0
        for (i, j), value in np.ndenumerate(matrix):
            if np.isfinite(value):
                red, green, blue, _ = image.cmap(image.norm(np.asarray(value)))
                dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
                text = fixed(float(value), digits)
                ax.text(j, i, text, ha="center", va="center", fontsize=size, color=ON_DARK if dark else ON_LIGHT)
    return image


def colour_bar(ax: Axes, image: AxesImage, label: str) -> Any:
    """Add the colour scale of ``image`` next to ``ax``."""
    figure: Any = ax.get_figure()
    bar = figure.colorbar(image, ax=ax, fraction=0.05, pad=0.02, aspect=24)
    bar.set_label(label, fontsize=8.5)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=2)
    return bar


def _size(count: int) -> float:
    return 8.5 if count <= 12 else 7.5 if count <= 20 else 6.0
