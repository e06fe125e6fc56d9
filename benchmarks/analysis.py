"""The measures against SciPy, scikit-learn and NumPy called by hand, on the same matrices, to the same answer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import NearestNeighbors

from benchmarks.timing import Row, in_turn
from foresight_cli.metrics import linear_cka, linear_probe, neighborhood, rsa

Arrays = tuple[np.ndarray, np.ndarray]


def rows(runs: int) -> list[Row]:
    """Every row of this file; each checks that both ways agree before it times them."""
    x, y = _spaces(1000, 3584, 2048)
    folds = _folds(len(x))
    return [
        _row(
            "debiased linear CKA",
            "NumPy, Gram matrices centred by hand",
            (x, y),
            linear_cka,
            _cka,
            runs,
            2.0,
            "NumPy runs z @ z.T as a symmetric product, at half the work; torch has none",
        ),
        _row("RSA, Spearman, all pairs", "scipy pdist + spearmanr", (x, y), rsa, _rsa, runs, 2.0),
        _row(
            "recall@10",
            "scikit-learn NearestNeighbors, sets",
            (x, y),
            _recall,
            _recall_by_hand,
            runs,
            2.0,
            "ours also ranks every row's true neighbour and breaks ties by lot; both are bound by the product",
        ),
        _row(
            "ridge probe, 5 folds, 13 penalties by leave-one-out",
            "scikit-learn RidgeCV, the same penalties",
            (x, y),
            lambda a, b: linear_probe(a, b, folds=folds, standardize=False, reach=np.inf).r2,
            lambda a, b: _ridge(a, b, folds),
            max(runs // 2, 1),
            4.0,
        ),
    ]


def _row(
    what: str,
    alternative: str,
    spaces: Arrays,
    ours: Callable,
    theirs: Callable,
    runs: int,
    goal: float,
    note: str = "",
) -> Row:
    a, b = ours(*spaces), theirs(*spaces)
    assert abs(a - b) < 1e-6, f"{what}: {a} against {b}"
    seconds = in_turn(lambda: ours(*spaces), lambda: theirs(*spaces), runs)
    shape = f"n = {len(spaces[0])}, d = {spaces[0].shape[1]} and {spaces[1].shape[1]}"
    return Row(
        f"{what}, {shape}",
        seconds[0],
        alternative,
        seconds[1],
        goal,
        f"both answer {a:.6f}" + (f"; {note}" if note else ""),
    )


def _spaces(n: int, d1: int, d2: int) -> Arrays:
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((n, 20))
    return tuple(shared @ rng.standard_normal((20, d)) + 3 * rng.standard_normal((n, d)) for d in (d1, d2))  # type: ignore[return-value]


def _folds(n: int) -> list[Arrays]:
    parts = np.array_split(np.random.default_rng(7).permutation(n), 5)
    return [(np.sort(np.concatenate(parts[:i] + parts[i + 1 :])), np.sort(parts[i])) for i in range(5)]


def _cka(x: np.ndarray, y: np.ndarray) -> float:
    def centred(gram: np.ndarray) -> np.ndarray:
        n = len(gram)
        np.fill_diagonal(gram, 0)
        mean = gram.sum(0) / (n - 2)
        mean -= mean.sum() / (2 * (n - 1))
        gram = gram - mean[:, None] - mean
        np.fill_diagonal(gram, 0)
        return gram

    k, l = (centred(z @ z.T) for z in (x - x.mean(0), y - y.mean(0)))  # noqa: E741
    return float((k * l).sum() / np.sqrt((k * k).sum() * (l * l).sum()))


def _rsa(x: np.ndarray, y: np.ndarray) -> float:
    return float(spearmanr(pdist(x), pdist(y)).statistic)


def _recall(x: np.ndarray, y: np.ndarray) -> float:
    return neighborhood(x, y, k=10).recall


def _recall_by_hand(x: np.ndarray, y: np.ndarray) -> float:
    lists = [NearestNeighbors(n_neighbors=11).fit(z).kneighbors(z, return_distance=False)[:, 1:] for z in (x, y)]
    return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(*lists, strict=True)]))


def _ridge(x: np.ndarray, y: np.ndarray, folds: list[Arrays]) -> float:
    residual = total = 0.0
    for train, test in folds:
        centred = x[train] - x[train].mean(0)
        alphas = np.logspace(-3, 3, 13) * (centred**2).sum() / len(train)
        fitted = RidgeCV(alphas=alphas).fit(x[train], y[train])
        residual += ((y[test] - fitted.predict(x[test])) ** 2).sum()
        total += ((y[test] - y[train].mean(0)) ** 2).sum()
    return 1 - residual / total
