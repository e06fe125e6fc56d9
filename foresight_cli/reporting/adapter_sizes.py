"""Several adapters beside each other: which is the smallest that does the job, as a table and as a figure."""

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
from foresight_cli.reporting.numbers import fixed, with_interval

HEADER = ("Adapter", "Parameters", "R², validation", "R², test (95 % interval)", "Over ridge (R²)", "Weakest attribute")


APART = 9
"""Points between the marks of adapters of one size."""


def table_rows(adapters: Sequence[Sized]) -> list[tuple[str, ...]]:
    """A row of `HEADER` for each, the fewest parameters first."""
    rows: list[tuple[str, ...]] = []
    for one in sorted(adapters, key=lambda one: (one.own.parameters, one.name)):
        ridge, worst = one.control("ridge"), weakest(one.results.attributes)
        kept = worst.retention if worst else None
        shown = f"{worst.name}: {fixed(kept.value, 2)}" if worst and kept else "not measured"
        rows.append(
            (
                one.label,
                fixed(one.own.parameters),
                f"{fixed(one.results.r2_validation.value)} ± {fixed(standard_error(one))}",
                with_interval(one.own.r2),
                f"{ridge.outcome}: {with_interval(ridge.gain)}" if ridge else "not measured",
                "all kept fully" if worst and worst.kept_fully else shown,
            )
        )
    return rows


def sizes_figure(adapters: Sequence[Sized], advice: Advice) -> Figure:
    """Held-out R2 against parameters on a log axis, with 95 % intervals; ridge as a line, the advised one marked.

    Args:
        adapters: of one pair.
        advice: the decision among them, which is the title.
    """
    figure = new_figure(advice.text, 4.2)
    panel = figure.add_subplot()
    panel.set_xscale("log")
    panel.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    panel.xaxis.set_minor_formatter(NullFormatter())
    counts = {one.own.parameters for one in adapters}
    if len(str(min(counts))) == len(str(max(counts))):  # no power of ten between them would be a tick
        panel.set_xticks(sorted({min(counts), max(counts)}))
    kinds = sorted({one.results.adapter for one in adapters})
    labelled, sizes = 0, dict[int, int]()
    for one in sorted(adapters, key=lambda one: (one.own.parameters, -one.results.r2_validation.value)):
        colour = SERIES[kinds.index(one.results.adapter) % len(SERIES)]
        count = one.own.parameters
        number = sizes[count] = sizes.get(count, -1) + 1
        _mark(figure, panel, one, colour, number, circled=one is advice.chosen)
        if number < 2:  # above and below; of equal size, only the best two on validation have room for their names
            # Labels take turns above and below: neighbours on the axis often have long names.
            labelled += 1
            _label(panel, one, colour, number, above=labelled % 2 == 1, bold=one is advice.chosen)
    ridge = next((score for one in adapters if (score := one.control("ridge")) is not None), None)
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


def _mark(figure: Figure, panel: Axes, one: Sized, colour: str, number: int, *, circled: bool) -> None:
    """The point of an adapter with its interval; the ``number``-th of its size is moved aside, not to hide another."""
    r2, count = one.own.r2, one.own.parameters
    low, high = r2.value if r2.low is None else r2.low, r2.value if r2.high is None else r2.high
    beside = offset_copy(panel.transData, figure, x=APART * number, units="points")
    panel.plot([count, count], [low, high], color=colour, linewidth=1.4, solid_capstyle="butt", transform=beside)
    panel.plot(count, r2.value, "o", color=colour, markersize=5.5, transform=beside)
    if circled:
        panel.plot(count, r2.value, "o", markersize=13, markerfacecolor="none", markeredgecolor="#111111",
                   transform=beside)  # fmt: skip
    panel.update_datalim([(count, low), (count, high)])  # a line with a transform of another kind does not


def _label(panel: Axes, one: Sized, colour: str, number: int, *, above: bool, bold: bool) -> None:
    """The settings that name an adapter, a line each, above or below its interval."""
    r2 = one.own.r2
    end = r2.high if above else r2.low
    panel.annotate(
        "\n".join(shorten(re.sub(r"^.*\.(?=\w+=)", "", word), 24) for word in one.label.split()),
        (one.own.parameters, r2.value if end is None else end),
        xytext=(APART * number, 5 if above else -5),
        textcoords="offset points",
        ha="center",
        va="bottom" if above else "top",
        color=colour,
        fontsize=8.5,
        fontweight="bold" if bold else "normal",
    )
