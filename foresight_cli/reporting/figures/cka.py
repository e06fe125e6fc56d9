"""Centred kernel alignment of every layer and pooling."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from foresight_cli.reporting.derived import best_pair, capital, layer_name, names_within, short_name, spaces_of
from foresight_cli.reporting.figures.heatmap import colour_bar, heatmap
from foresight_cli.reporting.figures.labels import shorten
from foresight_cli.reporting.figures.style import (
    CONTROL,
    NOTE,
    SERIES,
    Arrays,
    NotMeasured,
    Rule,
    grid,
    label_right,
    new_figure,
    nice_limits,
)
from foresight_cli.results import Analysis, Pair
from foresight_cli.results.numbers import fixed, with_interval
from foresight_cli.results.significance import ALPHA


def cka_heatmap(results: Analysis, arrays: Arrays) -> Figure:
    """Draw the debiased CKA of every source layer and pooling against every target."""
    sources, targets = _paired(results)
    matrix = np.full((len(sources), len(targets)), np.nan)
    for pair in results.pairs:
        matrix[sources.index(pair.source), targets.index(pair.target)] = pair.cka.value
    rows = [names_within(results, "source")[i] for i in sources]
    columns = [names_within(results, "target")[i] for i in targets]
    figure = new_figure(_best_title(results), max(2.4, 1.5 + 0.33 * len(rows)))
    ax = figure.add_subplot()
    image = heatmap(
        ax, matrix, rows=rows, columns=columns, values=True, limits=(min(0.0, float(np.nanmin(matrix))), 1.0)
    )
    chosen = results.chosen_pair
    at = (targets.index(chosen.target) - 0.5, sources.index(chosen.source) - 0.5)
    for pair in results.pairs:
        if _by_chance(pair):
            corner = (targets.index(pair.target) - 0.5, sources.index(pair.source) - 0.5)
            ax.add_patch(Rectangle(corner, 1, 1, fill=False, hatch="////", edgecolor="#9A9A9A", linewidth=0, zorder=4))
    ax.add_patch(Rectangle(at, 1, 1, fill=False, edgecolor="#D55E00", linewidth=3, clip_on=False, zorder=5))
    ax.set_xlabel(shorten(f"target: {results.target_label}", 60))
    ax.set_ylabel(shorten(f"source: {results.source_label}", 34))
    ax.set_title(
        f"Framed: the pair of the verdict. Hatched: corrected p above {ALPHA}.",
        color=NOTE,
    )
    colour_bar(ax, image, "debiased CKA")
    return figure


def _by_chance(pair: Pair) -> bool:
    return any(test.measure == "cka" and test.p_corrected > ALPHA for test in pair.tests)


def _critical(results: Analysis) -> float | None:
    """Return the CKA that a pair must exceed to be beyond chance, corrected for all pairs together."""
    limits = [t.critical for p in results.pairs for t in p.tests if t.measure == "cka" and t.critical is not None]
    return max(limits, default=None)


def _best_title(results: Analysis) -> str:
    best = best_pair(results, "cka")
    target = names_within(results, "target")[best.target]
    verb = "against" if len(results.pairs) == 1 else "aligns best with"
    return f"{_place(results, best)} {verb} the target's {target}: debiased CKA {with_interval(best.cka, 2)}"


def _curve_title(results: Analysis) -> str:
    best = best_pair(results, "cka")
    title = f"{_place(results, best)} reaches a debiased CKA of {with_interval(best.cka, 2)}"
    value, name = max(_controls(results), default=(0.0, ""))
    return title + (f"; the control {name} {fixed(value, 2)}" if name else "")


def _controls(results: Analysis) -> list[tuple[float, str]]:
    """Return the debiased CKA of each control that has one, with its name."""
    return [(control.cka, control.name) for control in results.controls if control.cka is not None]


def _place(results: Analysis, pair: Pair) -> str:
    space = results.spaces[pair.source]
    return capital(f"{layer_name(space.layer)} {space.pooling}")


def _paired(results: Analysis) -> tuple[list[int], list[int]]:
    """Return the sources and targets that are part of a pair, in reading order."""
    sources = {pair.source for pair in results.pairs}
    targets = {pair.target for pair in results.pairs}
    return (
        [i for i, _ in spaces_of(results, "source") if i in sources],
        [i for i, _ in spaces_of(results, "target") if i in targets],
    )


def cka_source_self_similarity(results: Analysis, arrays: Arrays) -> Figure:
    """Draw the CKA of the source's layers with each other."""
    indices = results.layer_similarity_spaces
    if len(indices) < 2:
        raise NotMeasured("the source has one layer only")
    matrix = np.asarray(results.layer_similarity, dtype=float)
    spaces = [results.spaces[i] for i in indices]
    poolings = {space.pooling for space in spaces}
    names = [space.layer if len(poolings) == 1 else short_name(space) for space in spaces]
    off = np.where(np.eye(len(matrix), dtype=bool), np.nan, matrix)
    i, j = np.unravel_index(int(np.nanargmin(off)), off.shape)
    pair = f"{layer_name(spaces[i].layer)} and {layer_name(spaces[j].layer)}"
    title = f"The source's layers differ most between {pair}: debiased CKA {fixed(float(off[i, j]), 2)}"
    figure = new_figure(title, 4.3, square=True)
    ax = figure.add_subplot()
    image = heatmap(
        ax, matrix, rows=names, columns=names, values=len(names) <= 12, limits=(min(0.0, float(np.nanmin(matrix))), 1.0)
    )
    ax.set_aspect("equal")
    where = f", {next(iter(poolings))}" if len(poolings) == 1 else ""
    ax.set(xlabel="layer", ylabel="layer")
    ax.set_title(shorten(f"{results.source_label}{where}", 60), color=NOTE)
    colour_bar(ax, image, "debiased CKA")
    return figure


def cka_layer_curve(results: Analysis, arrays: Arrays) -> Figure:
    """Draw debiased CKA by layer, with intervals, the biased estimate, its null and the controls."""
    sources, targets = _paired(results)
    poolings = list(dict.fromkeys(results.spaces[i].pooling for i in sources))
    colours = dict(zip(targets, SERIES * (1 + len(targets) // len(SERIES)), strict=False))
    figure = new_figure(_curve_title(results), 4.2)
    panels = np.atleast_1d(figure.subplots(1, len(poolings), sharey=True))
    panels[0].set_ylim(*_limits(results))
    panels[0].set_ylabel("linear CKA")
    for panel, pooling in zip(panels, poolings, strict=True):
        layers = list(dict.fromkeys(results.spaces[i].layer for i in sources if results.spaces[i].pooling == pooling))
        ends = [end for t in targets for end in _line(panel, results, (layers, pooling, t), colours[t])]
        controls = [Rule(value, f"control: {name}", CONTROL) for value, name in _controls(results)]
        if (critical := _critical(results)) is not None:
            panel.axhspan(panel.get_ylim()[0], critical, color="#DDDDDD", linewidth=0, zorder=0)
            ends.append(Rule(critical, "chance, best of all pairs"))
        for rule in controls:
            panel.axhline(rule.value, color=rule.color, linestyle=rule.dashes, linewidth=1.0, zorder=1)
        if panel is panels[-1]:
            label_right(panel, [*ends, *controls], draw=False)
        panel.set_xticks(range(len(layers)), layers)
        panel.set_xlim(-0.25, max(len(layers) - 0.75, 0.25))
        panel.set_xlabel(f"layer of {shorten(results.source_label, 20)}")
        panel.set_title(f"source pooling: {pooling}", color=NOTE)
        grid(panel)
    return figure


def _limits(results: Analysis) -> tuple[float, float]:
    shown = [
        v for p in results.pairs for v in (p.cka.value, p.cka.low, p.cka.high, p.cka_biased.value, p.cka_biased.chance)
    ]
    low, high = nice_limits([*shown, *(value for value, _ in _controls(results))])
    return low, min(high, 1.03)


def _line(panel: Axes, results: Analysis, curve: tuple[list[str], str, int], colour: str) -> list[Rule]:
    """Draw the curves of one target in one panel; return the labels for their ends."""
    layers, pooling, target = curve
    spaces = results.spaces
    pairs = {
        spaces[p.source].layer: p for p in results.pairs if p.target == target and spaces[p.source].pooling == pooling
    }
    line = [(x, pairs[layer]) for x, layer in enumerate(layers) if layer in pairs]
    if not line:
        return []
    xs = [x for x, _ in line]
    several = len({p.target for p in results.pairs}) > 1
    name = shorten(spaces[target].pooling, 16)
    biased = [p.cka_biased.value for _, p in line]
    panel.plot(xs, biased, color="#9A9A9A", linewidth=0.9, marker=".", markersize=3)
    nulls = [(x, p.cka_biased.chance) for x, p in line if p.cka_biased.chance is not None]
    if nulls:
        panel.plot(
            *zip(*nulls, strict=True), color="#9A9A9A", linewidth=0.9, linestyle=(0, (1, 2)), marker=".", markersize=3
        )
    for x, pair in line:
        if pair.cka.low is not None and pair.cka.high is not None:
            panel.vlines(x, pair.cka.low, pair.cka.high, color=colour, linewidth=1.6, zorder=3)
    panel.plot(xs, [p.cka.value for _, p in line], color=colour, linewidth=2.2, marker="o", markersize=5, zorder=4)
    suffix = f", {name}" if several else ""
    return [
        Rule(line[-1][1].cka.value, f"target {name}", colour),
        Rule(biased[-1], f"biased{suffix}", "#767676"),
        *(Rule(value, f"biased, by chance{suffix}", "#767676") for _, value in nulls[-1:] if value is not None),
    ]
