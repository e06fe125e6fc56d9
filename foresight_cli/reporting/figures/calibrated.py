"""Every measure of every pair on one scale: 0 for what chance explains, 1 for equal spaces."""

from __future__ import annotations

from matplotlib.figure import Figure

from foresight_cli.reporting.derived import names_within, ranked
from foresight_cli.reporting.figures.labels import shorten
from foresight_cli.reporting.figures.style import (
    NOTE,
    SERIES,
    Arrays,
    NotMeasured,
    grid,
    new_figure,
    nice_limits,
    rows_down,
)
from foresight_cli.results import Analysis
from foresight_cli.results.numbers import RHO, fixed
from foresight_cli.results.significance import ALPHA

MOST_PAIRS = 24
_NAMES = {"cka": "CKA", "spearman": f"Spearman {RHO}", "recall": "recall"}
_MARKS = {"cka": "o", "spearman": "s", "recall": "^"}


def calibrated_scores(results: Analysis, arrays: Arrays) -> Figure:
    """Draw calibrated CKA, Spearman and recall of each pair; hollow where chance may explain them."""
    pairs = [pair for pair in ranked(results) if pair.tests]
    if not pairs:
        raise NotMeasured("no permutation test was made")
    beyond = sum(any(test.p_corrected <= ALPHA for test in pair.tests) for pair in pairs)
    best = results.chosen_pair.tests
    scores = ", ".join(f"{_NAMES[test.measure]} {fixed(test.calibrated, 2)}" for test in best)
    counted = "The one pair" if len(pairs) == 1 and beyond else f"{beyond} of {len(pairs)} pairs"
    figure = new_figure(f"{counted} beyond chance by some measure; the pair of the verdict, calibrated: {scores}", 1.7)
    shown = pairs[:MOST_PAIRS]
    figure.set_figheight(1.75 + 0.24 * len(shown))
    ax = figure.add_subplot()
    values = []
    for colour, measure in zip(SERIES, _NAMES, strict=False):
        tests = [(row, t) for row, pair in enumerate(shown) for t in pair.tests if t.measure == measure]
        values += [test.calibrated for _, test in tests]
        for clear in (True, False):
            points = [(t.calibrated, row) for row, t in tests if (t.p_corrected <= ALPHA) == clear]
            if points:
                ax.plot(*zip(*points, strict=True), _MARKS[measure], color=colour, markersize=6, alpha=0.9,
                        markerfacecolor=colour if clear else "white", clip_on=False)  # fmt: skip
        ax.plot([], [], _MARKS[measure], color=colour, label=_NAMES[measure])
    sources, targets = names_within(results, "source"), names_within(results, "target")
    rows_down(ax, [shorten(f"{sources[p.source]} → {targets[p.target]}", 44) for p in shown])
    for text, pair in zip(ax.get_yticklabels(), shown, strict=True):
        text.set_fontweight("bold" if pair is results.chosen_pair else "normal")
    ax.axvline(0.0, color="#888888", linewidth=0.9)
    ax.set_xlim(min(-0.01, nice_limits(values)[0]), nice_limits(values)[1])
    ax.set_xlabel("calibrated score: 0 = exceeded by 5 % of the nulls, 1 = equal spaces")
    rest = f" The best {MOST_PAIRS} of {len(pairs)} pairs." if len(pairs) > MOST_PAIRS else ""
    ax.set_title(f"Hollow: corrected p above {ALPHA}. Bold: the pair of the verdict.{rest}", color=NOTE)
    grid(ax, "x")
    figure.legend(loc="outside lower center", ncols=3, handletextpad=0.2)
    return figure
