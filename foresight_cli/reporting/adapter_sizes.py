"""Several adapters beside each other: which is the smallest that does the job, as a table and as a figure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from foresight_cli.reporting.figures.labels import shorten
from foresight_cli.reporting.figures.style import CONTROL, NOTE, SERIES, new_figure
from foresight_cli.reporting.numbers import fixed, with_interval
from foresight_cli.results import AdapterResults, AdapterScore, Estimate

HEADER = ("Adapter", "Parameters", "R², validation", "R², test (95 % interval)", "Over ridge (R²)", "Weakest attribute")


@dataclass(frozen=True)
class Sized:
    """An adapter as it was asked for, ``adapter=mlp adapter.hidden=64``, and what came of it."""

    name: str
    results: AdapterResults

    @property
    def own(self) -> AdapterScore:
        """Its scores on the test rows."""
        return self.results.scores[0]


def recommended(adapters: Sequence[Sized]) -> Sized:
    """The smallest adapter whose validation R2 is within one standard error of the best one's; the better of equals.

    Validation, because the test rows of an adapter that was chosen by them would flatter it.

    Source: the one-standard-error rule of Breiman et al. 1984.
    """
    best = max(adapters, key=lambda one: one.results.r2_validation.value)
    least = best.results.r2_validation.value - standard_error(best)
    good = [one for one in adapters if one.results.r2_validation.value >= least]
    return min(good, key=lambda one: (one.own.parameters, -one.results.r2_validation.value))


def standard_error(adapter: Sized) -> float:
    """Of its validation R2: of rows, by groups, and of the runs with other seeds."""
    r2 = adapter.results.r2_validation
    return 0.0 if r2.low is None or r2.high is None else (r2.high - r2.low) / 3.92


def named(adapters: Sequence[AdapterResults]) -> list[Sized]:
    """Each with its kind and the settings in which it differs from others of its kind."""
    found = []
    for one in adapters:
        settings = _settings(one)
        same = [_settings(other) for other in adapters if other.adapter == one.adapter]
        own = [key for key in settings if any(other.get(key) != settings[key] for other in same)]
        found.append(
            Sized(" ".join([f"adapter={one.adapter}", *(f"adapter.{key}={settings[key]}" for key in own)]), one)
        )
    return found


def advice(
    adapters: Sequence[Sized],
    number: Callable[[float | None], str] = fixed,
    interval: Callable[[Estimate | None], str] = with_interval,
) -> str:
    """The recommendation in a sentence, and what is gained over ridge; none where the mean predicts as well.

    Args:
        adapters: into the same space.
        number: writes a number.
        interval: writes an estimate.
    """
    chosen = recommended(adapters)
    best = max(adapters, key=lambda one: one.results.r2_validation.value)
    mean = _control(chosen, "mean")
    if mean is not None and mean.outcome != "better":
        verb = "ties with" if mean.outcome == "tie" else "is worse than"
        return (
            f"None is worth taking. The one to choose by its validation R², {chosen.name}, {verb} the mean of the "
            f"training rows: {interval(chosen.own.r2)} of test R²."
        )
    said = f"Take {chosen.name} ({number(chosen.own.parameters)} parameters): "
    if chosen is best:
        said += "the best validation R²"
    else:
        said += f"the smallest within one standard error of the best, {best.name} ({number(best.own.parameters)})"
    if chosen.results.adapter == "linear" and len(adapters) > 1:
        return f"{said}. It is ridge, and no other gains more than a standard error over it."
    ridge = _control(chosen, "ridge")
    if ridge is None or ridge.gain is None or chosen.results.adapter == "linear":
        return f"{said}."
    size = f"ridge ({number(ridge.parameters)} parameters)"
    if ridge.outcome == "tie":
        return f"{said}. It ties with {size}."
    if ridge.outcome == "better":
        return f"{said}. It gains {interval(ridge.gain)} of test R² over {size}."
    return f"{said}. On the test rows {size} is better: this adds {interval(ridge.gain)} of R²."


def table_rows(adapters: Sequence[Sized]) -> list[tuple[str, ...]]:
    """A row of `HEADER` for each, the fewest parameters first."""
    rows: list[tuple[str, ...]] = []
    for one in sorted(adapters, key=lambda one: (one.own.parameters, one.name)):
        ridge = _control(one, "ridge")
        kept = [(a.retention.value, a.name) for a in one.results.attributes if a.retention is not None]
        rows.append(
            (
                _short(one.name),
                fixed(one.own.parameters),
                f"{fixed(one.results.r2_validation.value)} ± {fixed(standard_error(one))}",
                with_interval(one.own.r2),
                f"{ridge.outcome}: {with_interval(ridge.gain)}" if ridge else "not measured",
                f"{min(kept)[1]}: {fixed(min(kept)[0], 2)}" if kept else "not measured",
            )
        )
    return rows


def sizes_figure(adapters: Sequence[Sized]) -> Figure:
    """Held-out R2 against parameters on a log axis, with 95 % intervals; ridge as a line, the advised one marked."""
    chosen = recommended(adapters)
    figure = new_figure(advice(adapters), 4.2)
    panel = figure.add_subplot()
    panel.set_xscale("log")
    panel.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    panel.xaxis.set_minor_formatter(NullFormatter())
    kinds = sorted({one.results.adapter for one in adapters})
    told: list[int] = []
    for one in sorted(adapters, key=lambda one: (one.own.parameters, -one.results.r2_validation.value)):
        colour = SERIES[kinds.index(one.results.adapter) % len(SERIES)]
        r2, count = one.own.r2, one.own.parameters
        low, high = r2.value if r2.low is None else r2.low, r2.value if r2.high is None else r2.high
        panel.plot([count, count], [low, high], color=colour, linewidth=1.4, solid_capstyle="butt")
        panel.plot(count, r2.value, "o", color=colour, markersize=5.5)
        if one is chosen:
            panel.plot(count, r2.value, "o", markersize=13, markerfacecolor="none", markeredgecolor="#111111")
        if count in told:  # of equal size, only the best on validation has room for its name
            continue
        told.append(count)
        # Labels take turns above and below: neighbours on the axis often have long names.
        above = len(told) % 2 == 1
        panel.annotate(
            "\n".join(shorten(re.sub(r"^.*\.(?=\w+=)", "", word), 24) for word in _short(one.name).split()),
            (count, high if above else low),
            xytext=(0, 5 if above else -5),
            textcoords="offset points",
            ha="center",
            va="bottom" if above else "top",
            color=colour,
            fontsize=8.5,
            fontweight="bold" if one is chosen else "normal",
        )
    ridge = _control(chosen, "ridge")
    if ridge is not None:
        panel.axhline(ridge.r2.value, color=CONTROL, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        panel.annotate(f"ridge {fixed(ridge.r2.value)}\n{fixed(ridge.parameters)}", (1, ridge.r2.value),
                       xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
                       ha="left", va="center", color=CONTROL, fontsize=8)  # fmt: skip
    panel.margins(x=0.16, y=0.3)
    panel.set_xlabel("parameters")
    panel.set_ylabel("R² on held-out groups")
    note = "bars: 95 % intervals; circle: advised; dashed: ridge from its source, and its parameters"
    panel.annotate(note, (0, 0), xycoords="axes fraction", xytext=(4, 4), textcoords="offset points", color=NOTE,
                   fontsize=7.5)  # fmt: skip
    return figure


def _settings(results: AdapterResults) -> dict[str, Any]:
    settings: dict[str, Any] = results.settings.get("adapter") or {}
    return settings


def _short(name: str) -> str:
    """``mlp hidden=64``; long numbers, as a sweeper draws them, with three digits."""
    rounded = re.sub(r"\d+\.\d{5,}(e-?\d+)?", lambda found: f"{float(found[0]):.3g}", name)
    return rounded.replace("adapter=", "").replace("adapter.", "")


def _control(adapter: Sized, name: str) -> AdapterScore | None:
    return next((score for score in adapter.results.scores[1:] if score.name == name), None)
