"""Pictures with their nearest neighbours in both spaces."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from foresight_cli.reporting.figures.labels import space_name
from foresight_cli.reporting.figures.style import SOURCE, TARGET, Arrays, need, new_figure
from foresight_cli.results import Analysis

MOST_QUERIES = 6
GAP, WIDE_GAP, FRAME = 8, 26, 3.0  # pixels of a thumbnail's scale; points

Picture = np.ndarray[Any, np.dtype[Any]]


def neighborhood_examples(results: Analysis, arrays: Arrays) -> Figure:
    """Draw pictures with their nearest neighbours in both spaces; neighbours in both are framed."""
    names = ("neighborhood/query", "neighborhood/source", "neighborhood/target", "thumbnails")
    query, source, target, pictures = need(arrays, *names)
    count, k = min(MOST_QUERIES, len(query)), source.shape[1]
    rows = [[int(query[i]), *map(int, source[i]), *map(int, target[i])] for i in range(count)]
    shared = [set(row[1 : 1 + k]) & set(row[1 + k :]) for row in rows]
    agreed = sum(map(len, shared))
    title = f"In these {count} examples the spaces share {agreed} of {count * k} nearest neighbours (framed)"
    size = pictures.shape[1]
    lefts = _lefts(k, size)
    sheet = np.full((count * (size + GAP) - GAP, lefts[-1] + size, 3), 255, dtype=np.uint8)
    figure = new_figure(title, 0.75 + 7.3 * sheet.shape[0] / sheet.shape[1], square=True)
    ax = figure.add_subplot()
    for i, row in enumerate(rows):
        for place, (left, index) in enumerate(zip(lefts, row, strict=True)):
            top = i * (size + GAP)
            sheet[top : top + size, left : left + size] = pictures[index]
            framed = place > 0 and index in shared[i]
            look: dict[str, Any] = {"edgecolor": "#111111", "linewidth": FRAME} if framed else {"edgecolor": "#CCCCCC"}
            box = Rectangle(
                (left - 0.5, top - 0.5), size, size, fill=False, clip_on=False, **{"linewidth": 0.6, **look}
            )
            ax.add_patch(box)
    ax.imshow(sheet, interpolation="antialiased")
    headings = (
        (0, "picture", "#333333"),
        (1, f"nearest in the source: {space_name(results.chosen_source, 40)}", SOURCE),
        (1 + k, f"nearest in the target: {space_name(results.chosen_target, 40)}", TARGET),
    )
    for place, text, colour in headings:
        ax.text(lefts[place], -6, text, fontsize=8, color=colour, va="bottom")
    ax.axis("off")
    return figure


def _lefts(k: int, size: int) -> list[int]:
    """Return the left edges of the query and of both rows of ``k`` neighbours."""
    lefts = [0]
    for place in range(1, 2 * k + 1):
        lefts.append(lefts[-1] + size + (WIDE_GAP if place in (1, 1 + k) else GAP))
    return lefts
