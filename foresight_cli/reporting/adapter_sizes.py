"""Comparison of adapters by size, to find the smallest that is good enough: a table and a figure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from matplotlib.transforms import offset_copy

from foresight_cli.reporting.adapter_advice import Advice, standard_error, weakest
from foresight_cli.reporting.adapter_names import Sized
from foresight_cli.reporting.figures.labels import shorten
from foresight_cli.reporting.figures.style import CONTROL, NOTE, SERIES, new_figure
from foresight_cli.results.numbers import fixed, with_interval

HEADER = ("Adapter", "Parameters", "R², validation", "R², test (95 % interval)", "Over ridge (R²)", "Weakest attribute")


APART = 9
"""Points between the marks of adapters of one size."""


def table_rows(adapters: Sequence[Sized]) -> list[tuple[str, ...]]:
    """Return a row of `HEADER` for each adapter, the fewest parameters first."""
    rows: list[tuple[str, ...]] = []
    for adapter in sorted(adapters, key=lambda adapter: (adapter.own.parameters, adapter.name)):
        ridge, worst = adapter.control("ridge"), weakest(adapter.results.attributes)
        kept = worst.retention if worst else None
        shown = f"{worst.name}: {fixed(kept.value, 2)}" if worst and kept else "not measured"
        rows.append(
            (
                adapter.label,
                fixed(adapter.own.parameters),
                f"{fixed(adapter.results.r2_validation.value)} ± {fixed(standard_error(adapter))}",
                with_interval(adapter.own.r2),
                f"{ridge.outcome}: {with_interval(ridge.gain)}" if ridge else "not measured",
                "all kept fully" if worst and worst.kept_fully else shown,
            )
        )
    return rows


def sizes_figure(adapters: Sequence[Sized], advice: Advice) -> Figure:
    """Draw held-out R2 against parameters (log axis) with 95 % intervals; ridge as a line, a circle around the advised.

    Args:
        adapters: the adapters of one pair.
        advice: the decision among them, used as the title.
    """
    figure = new_figure(advice.text, 4.2)
    panel = figure.add_subplot()
    panel.set_xscale("log")
    panel.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    panel.xaxis.set_minor_formatter(NullFormatter())
    counts = {adapter.own.parameters for adapter in adapters}
    if len(str(min(counts))) == len(str(max(counts))):  # no power of ten is between them, so there would be no tick
        panel.set_xticks(sorted({min(counts), max(counts)}))
    kinds = sorted({adapter.results.adapter for adapter in adapters})
    labelled, sizes = 0, dict[int, int]()
    for adapter in sorted(adapters, key=lambda adapter: (adapter.own.parameters, -adapter.results.r2_validation.value)):
        colour = SERIES[kinds.index(adapter.results.adapter) % len(SERIES)]
        count = adapter.own.parameters
        number = sizes[count] = sizes.get(count, -1) + 1
        _mark(figure, panel, adapter, colour, number, circled=adapter is advice.chosen)
        if number < 2:  # of equal size, only the best two on validation have room for their names
            # Labels alternate above and below: neighbours on the axis often have long names.
            labelled += 1
            _label(panel, adapter, colour, number, above=labelled % 2 == 1, bold=adapter is advice.chosen)
    ridge = next((score for adapter in adapters if (score := adapter.control("ridge")) is not None), None)
    if ridge is not None:
        weight = 2.2 if advice.untrained else 1.0
        panel.axhline(ridge.r2.value, color=CONTROL, linewidth=weight, linestyle=(0, (4, 3)), zorder=0)
        panel.annotate(f"ridge {fixed(ridge.r2.value)}\n{fixed(ridge.parameters)}", (1, ridge.r2.value),
                       xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
                       ha="left", va="center", color=CONTROL, fontsize=8,
                       fontweight="bold" if advice.untrained else "normal")  # fmt: skip
    panel.margins(x=0.16, y=0.3)
    panel.set_xlabel("parameters")
    panel.set_ylabel("R² on held-out groups")
    circle = "; circle: advised" if advice.chosen is not None else ""
    unnamed = sum(number - 1 for number in sizes.values() if number > 1)
    rest = f"\n{unnamed} of equal size without a name: see the table" if unnamed else ""
    note = f"bars: 95 % intervals{circle}; dashed: ridge from its source, and its parameters{rest}"
    panel.annotate(note, (0, 0), xycoords="axes fraction", xytext=(4, 4), textcoords="offset points", color=NOTE,
                   fontsize=7.5)  # fmt: skip
    return figure


def _mark(figure: Figure, panel: Axes, adapter: Sized, colour: str, number: int, *, circled: bool) -> None:
    """Draw the point and interval of an adapter; the ``number``-th of its size is moved aside."""
    r2, count = adapter.own.r2, adapter.own.parameters
    low, high = r2.value if r2.low is None else r2.low, r2.value if r2.high is None else r2.high
    beside = offset_copy(panel.transData, figure, x=APART * number, units="points")
    panel.plot([count, count], [low, high], color=colour, linewidth=1.4, solid_capstyle="butt", transform=beside)
    panel.plot(count, r2.value, "o", color=colour, markersize=5.5, transform=beside)
    if circled:
        panel.plot(count, r2.value, "o", markersize=13, markerfacecolor="none", markeredgecolor="#111111",
                   transform=beside)  # fmt: skip
    panel.update_datalim([(count, low), (count, high)])  # a line with another transform does not update it


def _label(panel: Axes, adapter: Sized, colour: str, number: int, *, above: bool, bold: bool) -> None:
    """Write the settings that name an adapter, one a line, above or below its interval."""
    r2 = adapter.own.r2
    end = r2.high if above else r2.low
    panel.annotate(
        "\n".join(shorten(re.sub(r"^.*\.(?=\w+=)", "", word), 24) for word in adapter.label.split()),
        (adapter.own.parameters, r2.value if end is None else end),
        xytext=(APART * number, 5 if above else -5),
        textcoords="offset points",
        ha="center",
        va="bottom" if above else "top",
        color=colour,
        fontsize=8.5,
        fontweight="bold" if bold else "normal",
    )
