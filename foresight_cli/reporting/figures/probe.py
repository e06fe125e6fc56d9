"""The share of the target that a linear probe of the source predicts."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from foresight_cli.reporting.derived import best_control_r2, hopeful_r2, names_within
from foresight_cli.reporting.figures.heatmap import Matrix
from foresight_cli.reporting.figures.labels import shorten, space_name
from foresight_cli.reporting.figures.style import (
    CONTROL,
    MOST_VECTOR,
    NOTE,
    SOURCE,
    TARGET,
    Arrays,
    NotMeasured,
    Rule,
    grid,
    label_right,
    label_top,
    need,
    new_figure,
    nice_limits,
    rows_down,
)
from foresight_cli.reporting.wording import against, threshold
from foresight_cli.results import Analysis
from foresight_cli.results.numbers import fixed, with_interval


def linear_probe_training(results: Analysis, arrays: Arrays) -> Figure:
    """Draw the learning curve: held-out and training R2 against the number of rows."""
    curve = results.chosen.learning_curve
    if len(curve) < 2:
        raise NotMeasured("a learning curve needs two sizes, and the data has too few rows for them")
    gain, last = curve[-1].r2 - curve[-2].r2, curve[-1]
    trend = "still rising" if gain > 0.01 else "falling" if gain < -0.01 else "flat"
    title = (
        f"With {fixed(last.rows)} training rows the probe reaches R² {fixed(last.r2, 2)} held out ({trend}) "
        f"and {fixed(last.r2_train, 2)} in training"
    )
    figure = new_figure(title, 3.8)
    ax = figure.add_subplot()
    rows = [point.rows for point in curve]
    ax.plot(rows, [p.r2_train for p in curve], color=NOTE, marker="s", markersize=4)
    ax.plot(rows, [p.r2 for p in curve], color=SOURCE, marker="o", markersize=5, linewidth=2.2)
    least, most = threshold(results, "r2"), hopeful_r2(results)
    ax.set_ylim(*_r2_limits([v for p in curve for v in (p.r2, p.r2_train)], (least or 0.0, most or 0.0, 0.0, 1.0)))
    ax.set_xlim(0, rows[-1] * 1.03)
    ends = [Rule(last.r2_train, "training"), Rule(last.r2, "held out", SOURCE)]
    if most is not None:
        ends.append(Rule(most, "at most, with more", SOURCE))
        ax.axhline(most, color=SOURCE, linestyle=(0, (1, 2)), linewidth=1.2, zorder=1)
    label_right(ax, ends, draw=False)
    if least is not None:
        ax.axhline(least, color="#111111", linestyle=(0, (4, 3)), linewidth=1.0, zorder=1)
        ax.annotate(f"threshold {fixed(least, 2)}", (0.01, least), xycoords=("axes fraction", "data"),
                    xytext=(0, 3), textcoords="offset points", fontsize=8)  # fmt: skip
    ax.axhline(0.0, color="#888888", linewidth=0.8)
    ax.set(xlabel="training rows", ylabel="R²", title=_direction(results))
    grid(ax)
    return figure


def linear_probe_components(results: Analysis, arrays: Arrays) -> Figure:
    """Draw the held-out R2 of each of the target's first principal components, and their share of its variance."""
    r2 = results.chosen.pc_r2
    if len(r2) < 2:
        raise NotMeasured("R² of the single principal components of the target was not measured")
    good = sum(value > 0.5 for value in r2)
    title = f"{good} of the target's {len(r2)} largest directions are read with R² above 0.5; the largest of all with "
    figure = new_figure(f"{title}{fixed(r2[0], 2)}", 3.6)
    ax = figure.add_subplot()
    places = range(1, len(r2) + 1)
    ax.set_ylim(*_r2_limits(r2, (0.0, 1.0)))
    ax.plot(places, [max(value, -0.5) for value in r2], color=SOURCE, marker="o", markersize=4)
    overall = Rule(results.chosen_pair.r2.value, "all components", SOURCE)
    rules = [overall, Rule(0.0, "mean predictor", "#888888")]
    spectrum = arrays.get(f"spectrum/{results.chosen_pair.target}")
    if spectrum is not None and len(spectrum) >= len(r2):
        shares = np.asarray(spectrum, dtype=float)[: len(r2)]
        ax.plot(places, shares, color=NOTE, linewidth=1.1, linestyle=(0, (1, 2)))
        label_right(ax, [Rule(float(shares[-1]), "variance so far")], draw=False)
    label_right(ax, rules)
    ax.set_xlim(0.5, len(r2) + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="principal component of the target, the largest first", ylabel="R², held out")
    ax.set_title(_direction(results), color=NOTE)
    grid(ax)
    return figure


def linear_probe_scatter(results: Analysis, arrays: Arrays) -> Figure:
    """Draw predicted against true scores of the target's first principal components, held out."""
    true, predicted = need(arrays, "probe/true", "probe/predicted")
    count = min(4, true.shape[1])
    r2 = results.chosen.pc_r2[:count]
    first = f"PC 1 is read with R² {fixed(r2[0], 2)}" if r2 else "The target's first components, held out"
    rest = f", PC {len(r2)} with {fixed(r2[-1], 2)}" if len(r2) > 1 else ""
    figure = new_figure(f"{first}{rest}: predictions of the target's largest directions", 2.6)
    for i, ax in enumerate(np.atleast_1d(figure.subplots(1, count))):
        score = f": R² {fixed(r2[i], 2)}" if i < len(r2) else ""
        _true_against_predicted(ax, true[:, i], predicted[:, i])
        ax.set(xlabel="true", title=f"PC {i + 1}{score}")
        if i == 0:
            ax.set_ylabel("predicted, held out")
    return figure


def _true_against_predicted(ax: Axes, true: Matrix, predicted: Matrix) -> None:
    low = float(min(true.min(), predicted.min()))
    high = float(max(true.max(), predicted.max()))
    room = 0.05 * ((high - low) or 1.0)
    limits = (low - room, high + room)
    ax.plot(limits, limits, color=NOTE, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    ax.scatter(true, predicted, s=8, color=SOURCE, alpha=0.5, linewidths=0, rasterized=len(true) > MOST_VECTOR)
    ax.set(xlim=limits, ylim=limits)
    ax.set_aspect("equal")
    ax.tick_params(labelsize=7.5)
    ax.locator_params(nbins=4)


def linear_probe_summary(results: Analysis, arrays: Arrays) -> Figure:
    """Draw the held-out R2 of every pair, both ways, with that of the controls."""
    pairs = sorted(enumerate(results.pairs), key=lambda item: -item[1].r2.value)
    rows = len(pairs) + len(results.controls)
    figure = new_figure(_summary_title(results), 1.75 + 0.235 * rows)
    ax = figure.add_subplot()
    names, low_values = [], []
    sources, targets = names_within(results, "source"), names_within(results, "target")
    for row, (index, pair) in enumerate(pairs):
        chosen = index == results.chosen.index
        if pair.r2.low is not None and pair.r2.high is not None:
            ax.hlines(row, pair.r2.low, pair.r2.high, color=SOURCE, linewidth=2.4 if chosen else 1.4)
        ax.plot(
            pair.r2.value,
            row,
            "o",
            color=SOURCE,
            markersize=8 if chosen else 5,
            label="source to target, with 95 % interval" if row == 0 else None,
        )
        ax.plot(
            pair.r2_reverse,
            row,
            "D",
            markerfacecolor="white",
            markeredgecolor=TARGET,
            markersize=5,
            label="target to source" if row == 0 else None,
        )
        names.append(f"{sources[pair.source]} → {targets[pair.target]}")
        low_values += [pair.r2.value, pair.r2_reverse, pair.r2.low, pair.r2.high]
    for row, control in enumerate(results.controls, start=len(pairs)):
        ax.plot(
            control.r2,
            row,
            "s",
            color=CONTROL,
            markersize=6,
            label="control to the chosen target" if row == len(pairs) else None,
        )
        names.append(f"control: {control.name}")
        low_values.append(control.r2)
    rows_down(ax, [shorten(name, 58) for name in names])
    for text, (index, _) in zip(ax.get_yticklabels(), pairs, strict=False):
        text.set_fontweight("bold" if index == results.chosen.index else "normal")
    least = threshold(results, "r2")
    ax.set_xlim(*_r2_limits([v for v in low_values if v is not None], (0.0, least or 0.0)))
    label_top(
        ax,
        [Rule(0.0, "mean predictor", "#888888")]
        + ([Rule(least, f"threshold {fixed(least, 2)}", "#111111")] if least is not None else []),
    )
    ax.set_xlabel("R², held out (bold: the pair of the verdict)")
    grid(ax, "x")
    figure.legend(loc="outside lower center", ncols=3, handletextpad=0.2)
    return figure


def _summary_title(results: Analysis) -> str:
    r2, least, control = results.chosen_pair.r2, threshold(results, "r2"), best_control_r2(results)
    side = against(r2, least)
    title = f"The source predicts R² {with_interval(r2, 2)} of the target"
    title += f", {side} the threshold of {fixed(least, 2)}" if least is not None else ""
    return title + (f"; the best control reaches {fixed(control, 2)}" if control is not None else "")


def _direction(results: Analysis) -> str:
    return f"Ridge regression, {space_name(results.chosen_source, 36)} → {space_name(results.chosen_target, 36)}"


def _r2_limits(values: list[float], include: tuple[float, ...]) -> tuple[float, float]:
    """Return limits of an R2 axis, cut below: R2 has no lower bound, and one very bad fit must not squeeze the plot."""
    low, high = nice_limits([max(v, -0.5) for v in values], include=include)
    return low, min(high, 1.03)
