"""Agreement of the distances between rows in both spaces."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from foresight_cli.reporting.figures.heatmap import Matrix, colour_bar, heatmap
from foresight_cli.reporting.figures.labels import shorten, space_name
from foresight_cli.reporting.figures.style import (
    MOST_CATEGORIES,
    NOTE,
    SOURCE,
    TARGET,
    Arrays,
    NotMeasured,
    Rule,
    grid,
    label_top,
    need,
    new_figure,
    nice_limits,
    rows_down,
    sorted_labels,
)
from foresight_cli.results import Analysis, Category
from foresight_cli.results.numbers import RHO, fixed, p_value, with_interval

MOST_POINTS = 20_000
MOST_BESIDE = 16
"""With more categories than this, one heatmap is above the other, so that labels can be read."""


def semantic_sim_scatter(results: Analysis, arrays: Arrays) -> Figure:
    """Draw the distances of pairs of rows in both spaces."""
    source, target = (np.asarray(a, dtype=float)[:MOST_POINTS] for a in need(arrays, "rsa/source", "rsa/target"))
    rho = results.chosen_pair.spearman
    judged = "" if rho.p_value is None else f", p = {p_value(rho.p_value)}"
    figure = new_figure(f"Distances agree with Spearman {RHO} {with_interval(rho, 2)}{judged}", 4.4)
    ax = figure.add_subplot()
    same = arrays.get("rsa/same")
    size = 10 if len(source) <= 2000 else 5
    if same is None or not len(results.labels) or len(same) < len(source):
        ax.scatter(source, target, s=size, color=SOURCE, alpha=0.3, linewidths=0, rasterized=True)
    else:
        within = np.asarray(same[: len(source)]) > 0
        for chosen, colour, name in ((~within, "#9BB7CC", "different categories"), (within, TARGET, "same category")):
            ax.scatter(source[chosen], target[chosen], s=size, color=colour, alpha=0.45, linewidths=0, rasterized=True)
            ax.scatter([], [], s=28, color=colour, label=name)
        ax.legend(loc="upper left", handletextpad=0.1)
    ax.set_xlim(0, float(source.max()) * 1.02 or 1.0)
    ax.set_ylim(0, float(target.max()) * 1.08 or 1.0)
    ax.set_xlabel(f"distance in {space_name(results.chosen_source, 68)}")
    ax.set_ylabel(f"distance in {space_name(results.chosen_target, 34)}")
    ax.set_title(f"{len(source):,} pairs of rows, Euclidean", color=NOTE)
    return figure


def semantic_sim_categories(results: Analysis, arrays: Arrays) -> Figure:
    """Draw the agreement of distances within each category."""
    measured = [c for c in results.chosen.categories if c.spearman is not None]
    if not measured:
        raise NotMeasured("the data has no category with enough rows")
    shown = sorted(measured, key=lambda c: (-(c.spearman or 0.0), c.label))
    best, worst = shown[0], shown[-1]
    overall = results.chosen_pair.spearman.value
    span = f"{fixed(worst.spearman, 2)} to {fixed(best.spearman, 2)}"
    title = f"Within a category distances agree by {RHO} {span}; over all rows by {fixed(overall, 2)}"
    shown = _ends(shown)
    figure = new_figure(title, 1.45 + 0.21 * len(shown))
    ax = figure.add_subplot()
    values = [c.spearman or 0.0 for c in shown]
    ax.hlines(range(len(shown)), 0, values, color="#C9D8E3", linewidth=2)
    ax.plot(values, range(len(shown)), "o", color=SOURCE, markersize=6)
    rows_down(ax, [f"{shorten(c.label, 30)} ({c.rows})" for c in shown])
    ax.set_xlim(*nice_limits(values, include=(0.0, overall)))
    label_top(ax, [Rule(0.0, "chance", "#888888"), Rule(overall, f"all rows {fixed(overall, 2)}", "#111111")])
    ax.set_xlabel(f"Spearman {RHO} of distances within the category (rows in brackets)")
    grid(ax, "x")
    return figure


def _ends(categories: list[Category]) -> list[Category]:
    """Return at most 40 categories: the best and the worst."""
    half = MOST_CATEGORIES // 2
    return categories if len(categories) <= MOST_CATEGORIES else [*categories[:half], *categories[-half:]]


def semantic_sim_heatmaps(results: Analysis, arrays: Arrays) -> Figure:
    """Draw the mean distances between categories, in both spaces."""
    source, target = need(arrays, "rsa/source_categories", "rsa/target_categories")
    labels = sorted_labels(results)
    if not labels or len(labels) != len(source):
        raise NotMeasured("the data has no categories")
    order = sorted(sorted(range(len(labels)), key=lambda i: -results.labels[labels[i]])[:MOST_CATEGORIES])
    names = [labels[i] for i in order]
    upper = np.triu_indices(len(order), 1)
    matrices = [_relative(m[np.ix_(order, order)], upper) for m in (source, target)]
    apart = [_between_over_within(m, upper) for m in matrices]
    title = "Distances between the categories in the source and in the target"
    if apart[0] is not None and apart[1] is not None:
        title = (
            f"Rows of different categories are {fixed(apart[0], 1)} times as far apart in the source as rows of one "
            f"category, and {fixed(apart[1], 1)} times in the target"
        )
    stacked = len(order) > MOST_BESIDE
    figure = new_figure(title, 13.5 if stacked else 5.2, square=True)
    axes = figure.subplots(*((2, 1) if stacked else (1, 2)))
    sides = (
        (axes[0], matrices[0], "source", results.source_label),
        (axes[1], matrices[1], "target", results.target_label),
    )
    for ax, matrix, side, model in sides:
        image = heatmap(
            ax,
            matrix,
            rows=names if side == "source" or stacked else (),
            columns=names,
            colours="viridis",
            values=len(order) <= 12,
            digits=1,
            limits=(0.0, max(1.5, *(float(m.max()) for m in matrices))),
        )
        if side == "target" and not stacked:
            ax.set_yticks([])
        ax.set_title(f"{side}: {shorten(model, 24)}")
        ax.set_aspect("equal")
        for text in ax.get_xticklabels():
            text.set_rotation(90)
    figure.colorbar(
        image, ax=axes, location="bottom", fraction=0.02 if stacked else 0.04, aspect=40, pad=0.02
    ).set_label("mean distance of two rows, as a multiple of the mean over pairs of categories", fontsize=8.5)
    return figure


def _relative(distances: Matrix, upper: tuple[Matrix, Matrix]) -> Matrix:
    """Return distances between categories as a multiple of their mean, so that both spaces share a scale."""
    mean = float(distances[upper].mean()) if len(distances) > 1 else 0.0
    return distances / mean if mean > 0 else distances


def _between_over_within(distances: Matrix, upper: tuple[Matrix, Matrix]) -> float | None:
    """Return mean distance between categories / mean distance within; None where no category has two rows."""
    within = distances.diagonal()[distances.diagonal() > 0]
    return float(distances[upper].mean() / within.mean()) if len(within) and len(distances) > 1 else None


def semantic_sim_ranks(results: Analysis, arrays: Arrays) -> Figure:
    """Draw how often each rank of distance in the source meets each rank in the target."""
    ranks = np.asarray(need(arrays, "rsa/ranks")[0], dtype=float)
    bins = len(ranks)
    lift = ranks / (ranks.sum() or 1.0) * bins * bins
    near = float(lift[: max(1, bins // 10), : max(1, bins // 10)].mean())
    title = (
        f"The closest tenth of pairs in the source is {fixed(near, 1)} times as often "
        "in the closest tenth of the target as by chance"
    )
    figure = new_figure(title, 4.6, square=True)
    ax = figure.add_subplot()
    shown = np.log2(np.clip(lift, 2.0**-3, 2.0**3))
    image = heatmap(ax, shown, limits=(-3.0, 3.0), colours="RdBu_r")
    image.set_extent((0.0, 100.0, 100.0, 0.0))
    ax.invert_yaxis()
    ax.plot([0, 100], [0, 100], color="#111111", linewidth=0.8, linestyle=(0, (4, 3)))
    ax.set(xlabel="rank of the distance in the target (%)", ylabel="rank in the source (%)")
    ax.set_title(f"Line: ranks that agree. Spearman's {RHO} measures how closely pairs follow it.", color=NOTE)
    ax.set_aspect("equal")
    bar = colour_bar(ax, image, "pairs, as a multiple of chance")
    bar.set_ticks([-3, -2, -1, 0, 1, 2, 3], labels=["≤ 1/8", "1/4", "1/2", "1", "2", "4", "≥ 8"])
    return figure
