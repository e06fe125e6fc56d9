"""Cost of the measures as the rows grow: a plot and a fitted exponent."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.plain import spaces
from foresight_cli.inference.dependence import dependence
from foresight_cli.metrics import linear_cka, linear_probe, neighborhood, rsa
from foresight_cli.metrics.space import Space

SIZES = (500, 1000, 2000, 4000, 8000, 16000)
COLUMNS = 1024
PLOT = Path(__file__).parent / "scaling.png"

WAYS: dict[str, tuple[Callable[[np.ndarray, np.ndarray], object], int]] = {
    "debiased CKA": (linear_cka, 16000),
    "recall@10": (lambda x, y: neighborhood(x, y, k=10), 16000),
    "RSA, all pairs": (rsa, 8000),
    "RSA, 10 matchings": (lambda x, y: rsa(x, y, max_pairs=5 * len(x)), 16000),
    "CKA, 99 permutations": (lambda x, y: dependence([Space(x)], [Space(y)], permutations=99, measures=("cka",)), 8000),
    "ridge probe, 5 folds": (lambda x, y: linear_probe(x, y), 8000),
}
"""Each measure, and the largest n at which it is run."""


def measured() -> dict[str, list[tuple[int, float]]]:
    """Measure the seconds of one run at each n, by measure."""
    points: dict[str, list[tuple[int, float]]] = {name: [] for name in WAYS}
    for n in SIZES:
        x, y = spaces(n, COLUMNS, COLUMNS)
        for name, (way, most) in WAYS.items():
            if n <= most:
                start = time.perf_counter()
                way(x, y)
                points[name].append((n, time.perf_counter() - start))
    return points


def exponent(points: list[tuple[int, float]]) -> float:
    """Return the slope of log seconds on log n over the three largest n, where constant costs matter least."""
    n, seconds = np.log(np.array(points[-3:])).T
    return float(np.polyfit(n, seconds, 1)[0])


def section() -> list[str]:
    """Measure, draw the plot, and return the section as Markdown."""
    by_measure = measured()
    draw(by_measure)
    lines = [
        f"{COLUMNS} columns on both sides, one run each.",
        "",
        "![seconds against n](scaling.png)",
        "",
        "| measure | " + " | ".join(f"n = {n}" for n in SIZES) + " | exponent |",
        "|---|" + "---:|" * (len(SIZES) + 1),
    ]
    for name, points in by_measure.items():
        seconds = dict(points)
        cells = [f"{seconds[n]:.2f} s" if n in seconds else "not run" for n in SIZES]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {exponent(points):.2f} |")
    return [*lines, "", "The exponent is the slope of log time on log n over the three largest n.", ""]


def draw(by_measure: dict[str, list[tuple[int, float]]]) -> None:
    """Plot seconds against n, both logarithmic."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for name, points in by_measure.items():
        n, seconds = zip(*points, strict=True)
        axes.loglog(n, seconds, marker="o", markersize=4, label=f"{name} (n^{exponent(points):.1f})")
    axes.set_xlabel("rows n")
    axes.set_ylabel("seconds")
    axes.set_xticks(SIZES, [f"{n:,}" for n in SIZES])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PLOT, dpi=120)
    plt.close(figure)
