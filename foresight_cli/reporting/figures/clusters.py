"""Clusters of the categories in each space."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foresight_cli.reporting.derived import capital, layer_name, one_pooling, spaces_of
from foresight_cli.reporting.figures.labels import shorten, space_name
from foresight_cli.reporting.figures.style import (
    MOST_CATEGORIES,
    MOST_VECTOR,
    NOTE,
    OTHER,
    SERIES,
    Arrays,
    NotMeasured,
    Rule,
    category_style,
    grid,
    label_right,
    need,
    new_figure,
    nice_limits,
    sorted_labels,
)
from foresight_cli.reporting.wording import organisation
from foresight_cli.results import Analysis, Space
from foresight_cli.results.numbers import fixed, percent


def tsne(results: Analysis, arrays: Arrays, index: int) -> Figure:
    """Draw a t-SNE map of the space at ``index``, coloured by category."""
    points = need(arrays, f"tsne/{index}")[0]
    space = results.spaces[index]
    labels = sorted_labels(results)
    codes = arrays.get("label") if labels else None
    many = len(labels) > 24
    figure = new_figure(_tsne_title(space), 5.4)
    ax = figure.add_subplot()
    if codes is None or len(codes) != len(points):
        ax.scatter(points[:, 0], points[:, 1], s=14, color=SERIES[0], alpha=0.75, linewidths=0,
                   rasterized=len(points) > MOST_VECTOR)  # fmt: skip
    else:
        _by_category(ax, points, codes, results)
        columns = 2 if many else 1
        ax.legend(
            loc="center left", bbox_to_anchor=(1.0, 0.5), ncols=columns, fontsize=6.5 if many else 8,
            handletextpad=0.2, columnspacing=0.8, borderaxespad=0.3,
        )  # fmt: skip
    ax.set(xticks=[], yticks=[], xlabel="t-SNE 1", ylabel="t-SNE 2")
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_title(
        f"{space_name(space, 42)}: {space.rows:,} rows. Distances between far groups mean nothing.", color=NOTE
    )
    return figure


def _tsne_title(space: Space) -> str:
    where = f"{layer_name(space.layer)} {space.pooling}"
    if space.silhouette is None and space.knn_accuracy is None:
        return f"{shorten(space.called, 40)} {where}: the map of a space without categories to judge it by"
    chance = "" if space.knn_chance is None else f" (chance {percent(space.knn_chance, 0)})"
    scores = f"silhouette {fixed(space.silhouette, 2)}, 5-NN accuracy {percent(space.knn_accuracy, 0)}{chance}"
    return f"{capital(where)} {organisation(space)}: {scores}"


def _by_category(ax: Axes, points: Any, codes: Any, results: Analysis) -> None:
    labels = sorted_labels(results)
    largest = sorted(range(len(labels)), key=lambda i: (-results.labels[labels[i]], i))[:MOST_CATEGORIES]
    shown = sorted(largest)
    look: dict[str, Any] = {"linewidths": 0, "rasterized": len(points) > MOST_VECTOR}
    for place, code in enumerate(shown):
        colour, marker = category_style(place)
        members = points[codes == code]
        name = shorten(labels[code], 16 if len(shown) > 24 else 22)
        ax.scatter(members[:, 0], members[:, 1], s=17, color=colour, marker=marker, alpha=0.8, label=name, **look)
    rest = points[~np.isin(codes, shown)]
    if len(rest):
        name = "no label" if len(shown) == len(labels) else "others"
        ax.scatter(rest[:, 0], rest[:, 1], s=10, color=OTHER, marker=".", zorder=0, label=name, **look)


def source_layer_comparison(results: Analysis, arrays: Arrays) -> Figure:
    """Draw silhouette and 5-NN accuracy of the categories, by layer of the source."""
    measured = [
        (i, s) for i, s in spaces_of(results, "source") if s.silhouette is not None or s.knn_accuracy is not None
    ]
    if not measured:
        raise NotMeasured("the data has no categories to judge clusters by")
    layers = list(dict.fromkeys(space.layer for _, space in measured))
    poolings = list(dict.fromkeys(space.pooling for _, space in measured))
    best = max((s for _, s in measured), key=lambda s: (s.silhouette or -1.0, s.knn_accuracy or 0.0))
    verb = "groups the categories best" if len(measured) > 1 else organisation(best)
    place = f"{layer_name(best.layer)} {best.pooling}"
    accuracy = f"silhouette {fixed(best.silhouette, 2)}, 5-NN accuracy {percent(best.knn_accuracy, 0)}"
    figure = new_figure(f"{capital(place)} {verb}: {accuracy}", 3.7)
    left, right = figure.subplots(1, 2)
    for ax, score, title in ((left, "silhouette", "Silhouette (Euclidean)"), (right, "knn_accuracy", "5-NN accuracy")):
        values = [getattr(space, score) for _, space in measured]
        ends = []
        for colour, pooling in zip(SERIES, poolings, strict=False):
            line = [(layers.index(s.layer), getattr(s, score)) for _, s in measured if s.pooling == pooling]
            measured_line = [(x, y) for x, y in line if y is not None]
            if measured_line:
                ax.plot(*zip(*measured_line, strict=True), color=colour, marker="o", markersize=4, zorder=3)
                ends.append(Rule(measured_line[-1][1], pooling, colour))
        ax.set_xticks(range(len(layers)), [layer.removeprefix("layer ") for layer in layers])
        ax.set_xlim(-0.3, len(layers) - 0.7)
        chances = [s.knn_chance for _, s in measured if s.knn_chance is not None]
        ax.set_ylim(*((0.0, 1.03) if score == "knn_accuracy" else nice_limits(values)))
        rules = [Rule(chances[0], "chance")] if score == "knn_accuracy" and chances else []
        for rule in rules:
            ax.axhline(rule.value, color=rule.color, linestyle=rule.dashes, linewidth=1.0)
        label_right(ax, [*ends, *rules], draw=False)
        grid(ax)
        ax.set(title=title, xlabel=f"layer of {shorten(results.source_label, 24)}")
    return figure


def tsne_names(results: Analysis) -> dict[str, int]:
    """Return the names of the t-SNE figures, each with its space: a layer of the source or a pooling of the target."""
    names = {f"source_tsne_{_slug(layer_name(s.layer))}": i for i, s in one_pooling(spaces_of(results, "source"))}
    for index, space in spaces_of(results, "target"):
        names[f"target_tsne_{_slug(space.pooling)}"] = index  # the deepest layer comes last, and is kept
    return names


def _slug(text: str) -> str:
    """Return ``layer 8`` as part of a file name, as the study wrote it: ``layer_8``, ``layer_final``."""
    text = "layer_final" if text == "final" else text
    return "".join(c if c.isascii() and (c.isalnum() or c in "-.") else "_" for c in text)
