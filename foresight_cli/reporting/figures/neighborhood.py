"""Nearest neighbours of a picture that both spaces share."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foresight_cli.reporting.derived import ratio
from foresight_cli.reporting.figures.labels import shorten
from foresight_cli.reporting.figures.style import (
    MOST_CATEGORIES,
    NOTE,
    SERIES,
    SOURCE,
    Arrays,
    NotMeasured,
    Rule,
    grid,
    label_right,
    label_top,
    log_ticks,
    need,
    new_figure,
    nice_limits,
    rows_down,
    ticks_1_2_5,
)
from foresight_cli.results import Analysis
from foresight_cli.results.numbers import fixed, percent, percent_with_interval


def neighborhood_recall_curve(results: Analysis, arrays: Arrays) -> Figure:
    """Draw Recall@k and Jaccard@k against k, with chance."""
    neighborhoods = results.chosen_pair.neighborhood
    if not neighborhoods:
        raise NotMeasured("no neighbourhoods: the data has too few rows")
    first = neighborhoods[0]
    lift = ratio(first.recall.value, first.expected)
    times = "" if lift is None else f", {fixed(lift, 1)} times chance"
    figure = new_figure(f"Of {first.k} nearest neighbours {percent_with_interval(first.recall)} are shared{times}", 3.8)
    ax = figure.add_subplot()
    hoods = sorted({h.k: h for h in neighborhoods}.values(), key=lambda h: h.k)
    ks = [h.k for h in hoods]
    ends = [
        _curve(ax, ks, [100 * h.expected for h in hoods], "chance", NOTE, (0, (4, 3))),
        _curve(ax, ks, [100 * h.jaccard for h in hoods], "Jaccard@k", SERIES[2], "-"),
        _curve(ax, ks, [100 * h.recall.value for h in hoods], "recall@k", SOURCE, "-"),
    ]
    bounds = [
        (h.k, h.recall.low, h.recall.high) for h in hoods if h.recall.low is not None and h.recall.high is not None
    ]
    for k, low, high in bounds:
        ax.vlines(k, 100 * low, 100 * high, color=SOURCE, linewidth=1.4)
    log_ticks(ax, ks)
    ax.set_xlim(ks[0] / 1.1, ks[-1] * 1.1)
    ax.set_ylim(0, 105 * max([*(h.recall.value for h in hoods), *(b[2] for b in bounds)]) or 1.0)
    label_right(ax, ends, draw=False)
    ax.set(xlabel="neighbours k", ylabel="shared (%)")
    grid(ax)
    return figure


def _curve(ax: Axes, ks: list[int], values: list[float], name: str, colour: str, dashes: Any) -> Rule:
    ax.plot(ks, values, color=colour, marker="o", markersize=4, linestyle=dashes)
    return Rule(values[-1], name, colour)


def neighborhood_by_category(results: Analysis, arrays: Arrays) -> Figure:
    """Draw Recall@k of each category, with chance and with neighbours drawn from the category alone."""
    categories, hoods = results.chosen.categories, results.chosen_pair.neighborhood
    if not categories or not hoods:
        raise NotMeasured("the data has no categories")
    first = hoods[0]
    shown = sorted(categories, key=lambda c: (-c.recall, c.label))
    title = (
        f"Recall@{first.k} runs from {percent(shown[0].recall, 0)} ({shorten(shown[0].label, 20)}) "
        f"to {percent(shown[-1].recall, 0)} ({shorten(shown[-1].label, 20)})"
    )
    if len(shown) > MOST_CATEGORIES:
        shown = [*shown[: MOST_CATEGORIES // 2], *shown[-MOST_CATEGORIES // 2 :]]
    figure = new_figure(title, 1.75 + 0.21 * len(shown))
    ax = figure.add_subplot()
    rows = range(len(shown))
    ax.hlines(rows, 0, [100 * c.recall for c in shown], color="#C9D8E3", linewidth=2)
    ax.plot([100 * c.recall for c in shown], rows, "o", color=SOURCE, markersize=6, label=f"recall@{first.k}")
    # Spaces that share the category and nothing else: k of the category's other m - 1 rows at random.
    alone = [100 * min(1.0, first.k / (c.rows - 1)) if c.rows > 1 else None for c in shown]
    category_ticks = [(value, row) for value, row in zip(alone, rows, strict=True) if value is not None]
    if category_ticks:
        ax.plot(
            *zip(*category_ticks, strict=True),
            "|",
            color="#111111",
            markersize=10,
            markeredgewidth=1.6,
            label="expected from the category alone",
        )
    rows_down(ax, [f"{shorten(c.label, 30)} ({c.rows})" for c in shown])
    overall = 100 * first.recall.value
    ax.set_xlim(*nice_limits([100 * c.recall for c in shown] + alone, include=(0.0, overall)))
    label_top(
        ax,
        [
            Rule(100 * first.expected, f"chance {percent(first.expected)}", "#888888"),
            Rule(overall, f"all rows {percent(first.recall.value)}", SOURCE),
        ],
    )
    ax.set_xlabel("neighbours shared (%); rows in brackets")
    grid(ax, "x")
    figure.legend(loc="outside lower center", ncols=2, handletextpad=0.2)
    return figure


def neighborhood_rank_distribution(results: Analysis, arrays: Arrays) -> Figure:
    """Draw the distribution of the rank in the target of the source's nearest neighbour."""
    ranks = np.sort(np.asarray(need(arrays, "neighborhood/ranks")[0], dtype=float))
    others = max(results.rows - 1, int(ranks[-1]), 1)
    median = int(ranks[(len(ranks) - 1) // 2])  # the smallest rank that covers half of the rows
    title = (
        f"Half of the source's nearest neighbours are among the {fixed(median)} nearest of the target; "
        f"by chance among {fixed((others + 1) // 2)}"
    )
    figure = new_figure(title, 3.7)
    ax = figure.add_subplot()
    share = 100 * np.arange(1, len(ranks) + 1) / len(ranks)
    ax.step(np.r_[1.0, ranks, others], np.r_[0.0, share, 100.0], where="post", color=SOURCE, linewidth=2.2)
    steps = np.unique(np.geomspace(1, others, 200).round())
    ax.plot(steps, 100 * steps / others, color=NOTE, linestyle=(0, (4, 3)))
    at = others / 8
    ax.annotate("chance", (at, 12.5), xytext=(6, -8), textcoords="offset points", color=NOTE, fontsize=8.5)
    ax.hlines(50, 1, median, color="#888888", linewidth=0.9)
    ax.vlines(median, 0, 50, color="#888888", linewidth=0.9)
    ax.plot(median, 50, "o", color=SOURCE, markersize=6)
    beside: tuple[int, int] = (8, -12) if median <= 3 else (-8, 6)
    side = "left" if median <= 3 else "right"
    ax.annotate(
        f"median {fixed(median)}", (median, 50), beside, textcoords="offset points", ha=side, fontsize=8.5, color=SOURCE
    )
    log_ticks(ax, ticks_1_2_5(1, others))
    ax.set_xlim(1, others)
    ax.set_ylim(0, 101)
    ax.set(
        xlabel="rank in the target of a row's nearest neighbour in the source (1 is best)",
        ylabel="rows up to this rank (%)",
    )
    grid(ax)
    return figure
