"""Benchmarks of the measures against NumPy, SciPy, scikit-learn and other packages, on the same matrices.

Every row first checks that both sides give the same numbers.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks import plain
from benchmarks.timing import Row, answered, in_turn
from foresight_cli.inference.dependence import dependence
from foresight_cli.metrics import (
    debiased_cka_standard_error,
    knn_accuracy,
    linear_cka,
    linear_probe,
    mantel_test,
    mle_dimension,
    neighborhood,
    pca_dimension,
    rsa,
    silhouette,
)
from foresight_cli.metrics.space import Space

Arrays = tuple[np.ndarray, np.ndarray]
NOT_HERE = "not measured: the package is not installed"

REASONS = {
    "whole analysis": "the remaining time is five float64 eigendecompositions and products of 1,600 rows (single "
    "precision loses targets with massive columns) and the indexing of 999 permutations, which is limited by memory",
    "debiased linear CKA": "the same two products; ours also checks every number, centres exactly and sums in float64",
    "RSA, Spearman, squared Euclidean": "both are one product and two rankings; ours keeps true ties in float64",
    "MLE dimension": "both are one float64 product; ours also checks every number and finds copies of rows",
}
"""The reason of a missed goal, by the start of the row's text."""


def rows(runs: int) -> list[Row]:
    """Measure every row of this section."""
    peak = sgemm_peak()
    large, small = plain.spaces(2000, 3584, 8192), plain.spaces(450, 3584, 8192)
    measured = [
        *_whole(large, 1, 25.0),
        *_whole(small, runs, 5.0),
        *_single(large, runs, peak),
        *_packages(plain.spaces(1000, 3584, 2048), runs),
    ]
    return [_explained(row) for row in measured]


def whole(x: np.ndarray, y: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Measure everything that the plain script measures, with two `Space` objects that share results."""
    a, b = Space(x), Space(y)
    return {
        "cka": linear_cka(a, b),
        "rsa": rsa(a, b),
        "mantel": mantel_test(a, b, permutations=999).statistic,
        "recall": neighborhood(a, b, k=10).recall,
        **{f"silhouette {name}": silhouette(space, labels) for name, space in (("x", a), ("y", b))},
        **{f"accuracy {name}": knn_accuracy(space, labels) for name, space in (("x", a), ("y", b))},
        "r2": linear_probe(a, b, folds=plain.folds(len(x)), standardize=False, reach=math.inf).r2,
        **{f"pca {name}": pca_dimension(space) for name, space in (("x", a), ("y", b))},
    }


def sgemm_peak() -> float:
    """Return floating-point operations per second, from the best of five 3,000 x 3,000 float32 matrix products."""
    matrix = torch.randn(3000, 3000)
    seconds = min(in_turn(lambda: matrix @ matrix, lambda: None, 1)[0] for _ in range(5))
    return 2 * 3000**3 / seconds


def _explained(row: Row) -> Row:
    """Return ``row`` with the reason of a missed goal before its other notes."""
    reason = next((REASONS[start] for start in REASONS if row.what.startswith(start)), "")
    if row.met or not reason:
        return row
    return replace(row, note=f"{reason}; {row.note}" if row.note else reason)


def _whole(spaces: Arrays, runs: int, goal: float) -> list[Row]:
    # Tied votes of neighbours go to the first label in sorted order; foresight takes the order of appearance, so these
    # orders must be equal.
    labels = np.arange(len(spaces[0])) * 7 % 9
    labels = labels[np.random.default_rng(1).permutation(len(labels))]
    labels = np.unique(labels, return_index=True)[1].argsort().argsort()[labels]
    seconds, (ours, theirs) = answered(
        lambda: whole(*spaces, labels), lambda: plain.whole(*spaces, labels), runs, warm=False
    )
    for name, value in theirs.items():
        assert abs(ours[name] - value) < 1e-6, f"{name}: {ours[name]} against {value}"
    return [
        Row(
            f"whole analysis, {_shape(spaces)}: CKA, RSA, Mantel with 999 permutations, recall@10, silhouettes, "
            "k-NN accuracies, ridge in 5 folds with 13 penalties, PCA",
            seconds[0],
            "the same by NumPy, SciPy and scikit-learn, called one after the other",
            seconds[1],
            goal,
            f"{len(theirs)} numbers equal within 1e-6; {runs} run{'s' if runs > 1 else ''} each",
        )
    ]


def _single(spaces: Arrays, runs: int, peak: float) -> list[Row]:
    x, y = spaces
    n, wide = len(x), x.shape[1] + y.shape[1]
    few = max(runs // 2, 1)
    products = 2 * n * n * wide
    cka_note = f"{{share:.0%}} of the sgemm peak, {peak / 1e9:.0f} GFLOP/s, if its Gram matrices were full products"
    permuted = dependence([Space(x)], [Space(y)], permutations=99, measures=("cka",))
    by_hand = plain.permuted_cka(x, y, 99)
    assert abs(permuted.observed[0, 0, 0] - by_hand[0]) < 1e-6
    assert abs(permuted.null.std() - by_hand[1:].std()) < 0.3 * by_hand[1:].std()
    return [
        _row("debiased linear CKA", "NumPy, Gram matrices centred by hand", spaces, linear_cka, plain.cka, runs, 1.0,
             lambda seconds: cka_note.format(share=products / seconds / peak)),
        _row("RSA, Spearman, all pairs", "scipy pdist + spearmanr", spaces, rsa, plain.rsa, few, 5.0),
        _row("recall@10", "full argsort of SciPy's cdist", spaces, lambda a, b: neighborhood(a, b, k=10).recall,
             plain.recall, few, 5.0),
        _timed("debiased CKA with 999 permutations", "NumPy, fancy indexing of the centred Gram matrix", spaces,
               lambda: dependence([Space(x)], [Space(y)], permutations=999, measures=("cka",)),
               lambda: plain.permuted_cka(x, y, 999), 1, 5.0),
        _timed("Mantel test, Pearson, 999 permutations", "SciPy pdist, fancy indexing of the square", spaces,
               lambda: mantel_test(x, y, permutations=999), lambda: plain.mantel(x, y, 999), 1, 10.0),
        _row("ridge probe, 5 folds, 13 penalties by leave-one-out", "scikit-learn RidgeCV, the same penalties", spaces,
             lambda a, b: linear_probe(a, b, folds=plain.folds(n), standardize=False, reach=math.inf).r2,
             lambda a, b: plain.ridge(a, b, plain.folds(n)), 1, 5.0),
    ]  # fmt: skip


def _packages(spaces: Arrays, runs: int) -> list[Row]:
    """Compare with packages that compute one of the measures."""
    x, y = spaces
    tx, ty = torch.from_numpy(x), torch.from_numpy(y)
    measured: list[Row] = []

    def against(package: str, make: Callable[[Any], Row]) -> None:
        try:
            measured.append(make(importlib.import_module(package)))
        except ImportError:
            measured.append(Row(f"against {package}", math.nan, package, None, math.nan, NOT_HERE))

    def calibrated(package: Any) -> Row:
        ours = dependence([Space(x)], [Space(y)], permutations=200, measures=("cka",)).tests(0, 0)[0]
        theirs = float(package.calibrate(tx, ty, _torch_cka, K=20)[0])
        assert abs(ours.calibrated - theirs) < 0.02, f"{ours.calibrated} against {theirs}"
        return _timed("calibrated debiased CKA, 200 permutations", "calibrated-similarity with torch's CKA", spaces,
                      lambda: dependence([Space(x)], [Space(y)], permutations=200, measures=("cka",)),
                      lambda: package.calibrate(tx, ty, _torch_cka, K=200), 1, 5.0)  # fmt: skip

    def toolbox(package: Any) -> Row:
        rdm, data = (importlib.import_module(f"rsatoolbox.{name}") for name in ("rdm", "data"))

        def theirs(a: np.ndarray, b: np.ndarray) -> float:
            pair = [rdm.calc_rdm(data.Dataset(z), method="euclidean") for z in (a, b)]
            return float(rdm.compare(*pair, method="spearman")[0, 0])

        return _row("RSA, Spearman, squared Euclidean", "rsatoolbox", spaces,
                    lambda a, b: rsa(a, b, distance="sqeuclidean"), theirs, runs, 2.0)  # fmt: skip

    def dimension(package: Any) -> Row:
        module = importlib.import_module("skdim.id")

        def theirs(a: np.ndarray, b: np.ndarray) -> float:
            return float(module.MLE().fit(a, n_neighbors=20, comb="mle").dimension_)

        return _row(
            "MLE dimension, k = 20", "scikit-dimension", spaces, lambda a, b: mle_dimension(a), theirs, runs, 2.0
        )

    def torch_package(package: Any) -> Row:
        def theirs(a: np.ndarray, b: np.ndarray) -> float:
            return float(package.cka_from_features(torch.from_numpy(a), torch.from_numpy(b)))

        return _row("debiased linear CKA", "pytorch-cka", spaces, linear_cka, theirs, runs, 1.0)

    against("calibrated_similarity", calibrated)
    against("rsatoolbox", toolbox)
    against("skdim", dimension)
    against("cka", torch_package)
    measured.append(
        _row(
            "jackknife error of debiased CKA",
            "n deletions by NumPy, n = 150",
            plain.spaces(150, 3584, 2048),
            debiased_cka_standard_error,
            plain.jackknife,
            runs,
            20.0,
        )
    )
    return measured


def _torch_cka(x: torch.Tensor, y: torch.Tensor) -> float:
    """Compute debiased CKA as a user of that package would."""

    def centred(rows: torch.Tensor) -> torch.Tensor:
        n = len(rows)
        shifted = rows - rows.mean(0)
        gram = (shifted @ shifted.T).fill_diagonal_(0)
        mean = gram.sum(0) / (n - 2)
        mean -= mean.sum() / (2 * (n - 1))
        return (gram - mean[:, None] - mean).fill_diagonal_(0)

    k, l = centred(x), centred(y)  # noqa: E741
    return float((k * l).sum() / (k.norm() * l.norm()))


def _row(
    what: str,
    alternative: str,
    spaces: Arrays,
    ours: Callable[[np.ndarray, np.ndarray], float],
    theirs: Callable[[np.ndarray, np.ndarray], float],
    runs: int,
    goal: float,
    note: Callable[[float], str] | None = None,
) -> Row:
    seconds, (a, b) = answered(lambda: ours(*spaces), lambda: theirs(*spaces), runs, warm=runs > 1)
    assert abs(a - b) < 1e-6 * max(1.0, abs(b)), f"{what}: {a} against {b}"
    notes = [f"both answer {a:.6f}", *([note(seconds[0])] if note else [])]
    return Row(f"{what}, {_shape(spaces)}", seconds[0], alternative, seconds[1], goal, "; ".join(notes))


def _timed(
    what: str,
    alternative: str,
    spaces: Arrays,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    runs: int,
    goal: float,
) -> Row:
    seconds = in_turn(ours, theirs, runs, warm=False)
    return Row(f"{what}, {_shape(spaces)}", seconds[0], alternative, seconds[1], goal)


def _shape(spaces: Arrays) -> str:
    return f"n = {len(spaces[0])}, d = {spaces[0].shape[1]} and {spaces[1].shape[1]}"
