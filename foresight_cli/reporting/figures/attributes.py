"""Attributes such as position, size and colour: the share that survives a linear bridge."""

from __future__ import annotations

from matplotlib.figure import Figure

from foresight_cli.reporting.figures.labels import shorten
from foresight_cli.reporting.figures.style import (
    MOST_CATEGORIES,
    NOTE,
    SERIES,
    SOURCE,
    TARGET,
    Arrays,
    NotMeasured,
    Rule,
    grid,
    label_top,
    new_figure,
    nice_limits,
    rows_down,
)
from foresight_cli.reporting.wording import threshold
from foresight_cli.results import Analysis
from foresight_cli.results.numbers import fixed, with_interval


def attribute_retention(results: Analysis, arrays: Arrays) -> Figure:
    """Draw the R2 of each attribute from source, target and bridge, and the share that the bridge keeps."""
    attributes = results.chosen.attributes
    if not attributes:
        raise NotMeasured("no attribute was measured")
    shown = sorted(attributes, key=lambda a: (a.retention.value if a.retention else 2.0, a.name))[:MOST_CATEGORIES]
    judged = [a for a in shown if a.retention]
    title = "No attribute can be read well enough from the target itself"
    if judged:
        worst = judged[0]
        title = f"The bridge keeps {with_interval(worst.retention, 2)} of {shorten(worst.name, 24)}"
        title += ", the attribute that suffers most" if len(judged) > 1 else ""
        if worst.kept_fully:
            title = "The bridge keeps every judged attribute fully"
    figure = new_figure(title, 1.9 + 0.3 * len(shown))
    left, right = figure.subplots(1, 2, sharey=True)
    looks = (("from_source", "s", SERIES[2], "source"), ("from_target", "D", TARGET, "true target"),
             ("through_bridge", "o", SOURCE, "through the bridge"))  # fmt: skip
    for field, mark, colour, name in looks:
        # R2 has no lower bound: one very bad probe must not squeeze the others.
        left.plot([max(-0.2, getattr(a, field)) for a in shown], range(len(shown)), mark, color=colour, label=name)
    rows_down(left, [shorten(a.name, 24) for a in shown])
    left.axvline(0.0, color="#888888", linewidth=0.9)
    left.set_xlim(-0.22, 1.03)
    left.set(xlabel="R², held out")
    bounds: list[float] = []
    for row, attribute in enumerate(shown):
        kept = attribute.retention
        if kept is None:
            right.annotate("not judged", (0.02, row), va="center", fontsize=8, color=NOTE)
            continue
        low, high = kept.value if kept.low is None else kept.low, kept.value if kept.high is None else kept.high
        bounds += [low, high]
        right.hlines(row, low, high, color=SOURCE, linewidth=2)
        right.plot(kept.value, row, "o", color=SOURCE, markersize=6)
    least = threshold(results, "retention")
    right.set_xlim(*nice_limits(bounds, include=(0.0, 1.0)))
    rules = [] if least is None else [Rule(least, f"threshold {fixed(least, 2)}", "#111111")]
    label_top(right, rules)
    right.set(xlabel="share kept, at most 1 (95 % interval)")
    for ax in (left, right):
        grid(ax, "x")
    figure.legend(loc="outside lower center", ncols=3, handletextpad=0.2)
    return figure
