"""The channels of the target, and the correlation of its cells over space."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from foresight_cli.reporting.figures.heatmap import colour_bar, heatmap
from foresight_cli.reporting.figures.labels import shorten
from foresight_cli.reporting.figures.style import NOTE, TARGET, Arrays, NotMeasured, grid, need, new_figure
from foresight_cli.results import Analysis
from foresight_cli.results.numbers import fixed, percent

NAMED = 10


def target_channel_analysis(results: Analysis, arrays: Arrays) -> Figure:
    """Draw the variance of each channel, ranked, and the correlation of every two."""
    variance, correlation = need(arrays, "channels/variance", "channels/correlation")
    if not variance.sum() > 0:
        raise NotMeasured("the target's channels do not vary")
    order = np.argsort(-variance, kind="stable")
    share = variance[order] / variance.sum()
    top = min(NAMED, len(order))
    off = np.abs(correlation[~np.eye(len(correlation), dtype=bool)])
    mean = float(np.nanmean(off)) if np.isfinite(off).any() else float("nan")
    title = (
        f"{top} of {len(order)} channels hold {percent(float(share[:top].sum()), 0)} of the variance; "
        f"two channels correlate by {fixed(mean, 2)} on average (absolute)"
    )
    figure = new_figure(title, 3.9)
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1.0))
    ranks = np.arange(1, len(order) + 1)
    left.vlines(ranks[top:], 0, 100 * share[top:], color="#BBBBBB", linewidth=1.2)
    left.vlines(ranks[:top], 0, 100 * share[:top], color=TARGET, linewidth=2.2)
    left.set(
        xlabel="channel, by variance",
        ylabel="share of variance (%)",
        title=f"{shorten(results.target_label, 20)}: variance by channel",
    )
    left.set_xlim(0, len(order) + 1)
    left.set_ylim(0, None)
    named = ", ".join(str(int(c)) for c in order[:top])
    left.text(0.97, 0.95, f"largest: {named}", transform=left.transAxes, ha="right", va="top", fontsize=8, color=TARGET)
    grid(left)
    image = heatmap(right, correlation[np.ix_(order, order)], limits=(-1.0, 1.0), colours="RdBu_r")
    image.set_rasterized(True)
    right.set(xlabel="channel, by variance", ylabel="channel, by variance", title="Correlation of channels")
    right.set_aspect("equal")
    colour_bar(right, image, "Pearson r")
    return figure


def target_spatial_correlation(results: Analysis, arrays: Arrays) -> Figure:
    """Draw the correlation of the target's cells by distance, and the variance of each cell."""
    apart = need(arrays, "spatial/autocorrelation")[0]
    variance = arrays.get("spatial/variance")
    step = [float(v) for v in (apart[0, 1:2].tolist() + apart[1:2, 0].tolist())]
    far = float(apart[-1, -1])
    near = float(np.mean(step)) if step else float("nan")
    title = f"Neighbouring cells correlate by {fixed(near, 2)}, opposite corners by {fixed(far, 2)}"
    figure = new_figure(title, 3.6, square=True)
    axes = figure.subplots(1, 1 if variance is None else 2, squeeze=False)[0]
    small = max(apart.shape) <= 8
    image = heatmap(axes[0], apart, limits=(-1.0, 1.0), colours="RdBu_r", values=small)
    axes[0].set(xlabel="cells apart, across", ylabel="cells apart, down", title="Correlation of two cells")
    colour_bar(axes[0], image, "mean Pearson r")
    if variance is not None:
        relative = variance / variance.mean() if variance.mean() > 0 else variance
        limits = (0.0, max(2.0, float(relative.max())))
        image = heatmap(axes[1], relative, limits=limits, colours="viridis", values=small)
        axes[1].set(
            xlabel="column of cells",
            ylabel="row of cells",
            title=f"{shorten(results.target_label, 20)}: variance of each cell",
        )
        colour_bar(axes[1], image, "times the mean cell")
    for ax in axes:
        ax.set_aspect("equal")
        ax._left_title.set_color(NOTE)
    return figure
