"""The intrinsic dimension of each space."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from foresight_cli.reporting.derived import ratio, short_name, spaces_of
from foresight_cli.reporting.figures.labels import shorten, space_name
from foresight_cli.reporting.figures.style import (
    NOTE,
    SERIES,
    SOURCE,
    TARGET,
    Arrays,
    NotMeasured,
    Rule,
    grid,
    label_right,
    log_ticks,
    new_figure,
    rows_down,
    ticks_1_2_5,
)
from foresight_cli.results import Analysis, Space
from foresight_cli.results.numbers import fixed

ESTIMATORS: tuple[tuple[str, Callable[[Space], float | None], str], ...] = (
    ("Two-NN", lambda s: s.twonn_dimension, "o"),
    ("MLE (harmonic)", lambda s: s.mle_dimension, "D"),
    ("participation ratio", lambda s: s.participation_ratio, "^"),
    ("effective rank", lambda s: s.effective_rank, "s"),
    ("PCA, 95 %", lambda s: s.pca_dimensions[1] if len(s.pca_dimensions) > 1 else None, "P"),
)


def intrinsic_dim_pca(results: Analysis, arrays: Arrays) -> Figure:
    """Draw the cumulative share of variance against the number of principal components."""
    pair = results.chosen_pair
    spaces = [*spaces_of(results, "source"), *spaces_of(results, "target")]
    spectra = [(i, s, arrays[f"spectrum/{i}"]) for i, s in spaces if arrays.get(f"spectrum/{i}", np.empty(0)).size]
    if not spectra:
        raise NotMeasured("no spectrum was kept")
    source, target = results.chosen_source, results.chosen_target
    figure = new_figure(_pca_title(source, target), 4.0)
    ax = figure.add_subplot()
    for index, space, spectrum in spectra:
        chosen = index in (pair.source, pair.target)
        colour = SOURCE if space.side == "source" else TARGET
        share = 100 * np.concatenate([[0.0], spectrum])[1:]
        ax.plot(
            np.arange(1, len(share) + 1),
            share,
            color=colour,
            linewidth=2.4 if chosen else 0.8,
            alpha=1.0 if chosen else 0.45,
            zorder=3 if chosen else 2,
        )
    longest = max(len(spectrum) for _, _, spectrum in spectra)
    log_ticks(ax, ticks_1_2_5(1, longest))
    ax.set_xlim(1, longest)
    ax.set_ylim(0, 101)
    label_right(ax, [Rule(level, f"{level} %") for level in (90, 95, 99)])
    handles = [
        Line2D([], [], color=SOURCE, linewidth=2.4, label=f"source: {space_name(source, 40)}"),
        Line2D([], [], color=TARGET, linewidth=2.4, label=f"target: {space_name(target, 40)}"),
        Line2D([], [], color=NOTE, linewidth=0.8, label="other layers and poolings"),
    ]
    ax.legend(handles=handles if len(spectra) > 2 else handles[:2], loc="lower right")
    ax.set(xlabel="principal components", ylabel="variance explained (%)")
    grid(ax)
    return figure


def _pca_title(source: Space, target: Space) -> str:
    if len(source.pca_dimensions) < 2 or len(target.pca_dimensions) < 2:
        return "Variance explained by the principal components of both spaces"
    return (
        f"95 % of the variance needs {fixed(source.pca_dimensions[1])} components in the source "
        f"and {fixed(target.pca_dimensions[1])} in the target"
    )


def intrinsic_dim_summary(results: Analysis, arrays: Arrays) -> Figure:
    """Draw every estimate of the dimension of every space."""
    spaces = [*spaces_of(results, "source"), *spaces_of(results, "target")]
    figure = new_figure(_summary_title(results), 1.8 + 0.27 * len(spaces))
    ax = figure.add_subplot()
    values = []
    for row, (_, space) in enumerate(spaces):
        looks = zip(ESTIMATORS, SERIES, strict=False)
        estimates = [(read(space), marker, colour) for (_, read, marker), colour in looks]
        dots = [(float(v), marker, colour) for v, marker, colour in estimates if v is not None and v > 0]
        values += [v for v, _, _ in dots]
        ax.hlines(row, min(v for v, _, _ in dots), max(v for v, _, _ in dots), color="#DDDDDD", linewidth=1.0)
        for value, marker, colour in dots:
            ax.plot(value, row, marker=marker, color=colour, markersize=6, linestyle="none", alpha=0.9)
    pair = results.chosen_pair
    names = [f"{space.side}: {short_name(space)}" for _, space in spaces]
    rows_down(ax, [shorten(name, 40) for name in names])
    for text, (index, space) in zip(ax.get_yticklabels(), spaces, strict=True):
        text.set_color(SOURCE if space.side == "source" else TARGET)
        text.set_fontweight("bold" if index in (pair.source, pair.target) else "normal")
    low, high = min(values) / 1.3, max(values) * 1.3
    log_ticks(ax, ticks_1_2_5(low, high))
    ax.set_xlim(low, high)
    ax.set_xlabel("dimensions (bold: the pair of the verdict)")
    handles = [
        Line2D([], [], marker=marker, color=colour, linestyle="none", markersize=6, label=name)
        for (name, _, marker), colour in zip(ESTIMATORS, SERIES, strict=False)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, handletextpad=0.1, columnspacing=1.2)
    grid(ax, "x")
    return figure


def _summary_title(results: Analysis) -> str:
    source, target = results.chosen_source, results.chosen_target
    by_twonn = ratio(target.twonn_dimension, source.twonn_dimension)
    by_mle = ratio(target.mle_dimension, source.mle_dimension)
    if by_twonn is None or by_mle is None:
        return "The dimension of each space, by every estimator measured"
    agree = (by_twonn > 1) == (by_mle > 1)
    lead = "The target has" if agree else "The estimators disagree: the target has"
    return f"{lead} {fixed(by_twonn, 1)} times the source's dimension by Two-NN, {fixed(by_mle, 1)} times by MLE"
