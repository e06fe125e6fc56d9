"""Samples that are the same or nearly the same."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from foresight_cli.reporting.figures.labels import shorten
from foresight_cli.reporting.figures.style import NOTE, Arrays, NotMeasured, need, new_figure
from foresight_cli.results import Analysis
from foresight_cli.results.numbers import fixed

GAP = 8  # pixels of a thumbnail's scale
MOST_BESIDE = 6


def duplicates(results: Analysis, arrays: Arrays) -> Figure:
    """Draw some sets of duplicates, one set a row: samples that would have been counted several times."""
    sets, pictures = need(arrays, "duplicates/set", "duplicates/thumbnails")
    summary = results.duplicates
    title = (
        f"{summary.exact_words} left out and {summary.near_words} kept together: "
        f"{fixed(summary.rows)} samples are {fixed(summary.groups)} independent groups"
    )
    rows = [pictures[sets == number][:MOST_BESIDE] for number in np.unique(sets)]
    if not rows:
        raise NotMeasured("there are no duplicates")
    size = pictures.shape[1]
    wide = max(MOST_BESIDE, *(len(row) for row in rows)) * (size + GAP) * 1.7
    high = len(rows) * (size + GAP)
    figure = new_figure(title, 0.75 + 7.3 * high / wide)
    ax = figure.add_subplot()
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            left, top = x * (size + GAP), y * (size + GAP)
            ax.imshow(picture, extent=(left, left + size, top + size, top))
        ids = results.duplicates.examples[int(np.unique(sets)[y])]
        label = "\n".join(shorten(id_, 28) for id_ in ids[:2])
        ax.annotate(label, (len(row) * (size + GAP), y * (size + GAP) + size / 2), va="center", fontsize=8, color=NOTE)
    ax.set_xlim(0, wide)
    ax.set_ylim(high, 0)
    ax.set_aspect("equal")
    ax.axis("off")
    return figure
