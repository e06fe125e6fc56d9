"""The measures in plain NumPy, SciPy and scikit-learn, one after the other, as a researcher would write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.spatial.distance import cdist, pdist, squareform
from scipy.stats import pearsonr, spearmanr
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.metrics import silhouette_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

Arrays = tuple[np.ndarray, np.ndarray]


def spaces(n: int, d1: int, d2: int) -> Arrays:
    """Draw two spaces that share 20 directions."""
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((n, 20))
    return tuple(shared @ rng.standard_normal((20, d)) + 3 * rng.standard_normal((n, d)) for d in (d1, d2))  # type: ignore[return-value]


def folds(n: int) -> list[Arrays]:
    """Return five folds as (train rows, test rows)."""
    parts = np.array_split(np.random.default_rng(7).permutation(n), 5)
    return [(np.sort(np.concatenate(parts[:i] + parts[i + 1 :])), np.sort(parts[i])) for i in range(5)]


def whole(x: np.ndarray, y: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Compute all measures of two spaces."""
    splits = StratifiedKFold(5, shuffle=True, random_state=0)
    sides = (("x", x), ("y", y))
    return {
        "cka": cka(x, y),
        "rsa": rsa(x, y),
        "mantel": mantel(x, y, 999)[0],
        "recall": recall(x, y),
        **{f"silhouette {name}": float(silhouette_score(z, labels)) for name, z in sides},
        **{
            f"accuracy {name}": float(
                np.average(
                    cross_val_score(KNeighborsClassifier(5), z, labels, cv=splits),
                    weights=[len(test) for _, test in splits.split(z, labels)],
                )
            )
            for name, z in sides
        },
        "r2": ridge(x, y, folds(len(x))),
        **{
            f"pca {name}": int((PCA().fit(z).explained_variance_ratio_.cumsum() < 0.95 - 1e-12).sum()) + 1
            for name, z in sides
        },
    }


def centred_gram(z: np.ndarray) -> np.ndarray:
    """Return the U-centred Gram matrix."""
    z = z - z.mean(0)
    gram, n = z @ z.T, len(z)
    np.fill_diagonal(gram, 0)
    mean = gram.sum(0) / (n - 2)
    mean -= mean.sum() / (2 * (n - 1))
    gram = gram - mean[:, None] - mean
    np.fill_diagonal(gram, 0)
    return gram


def cka(x: np.ndarray, y: np.ndarray) -> float:
    """Compute debiased linear CKA."""
    k, l = centred_gram(x), centred_gram(y)  # noqa: E741
    return float((k * l).sum() / np.sqrt((k * k).sum() * (l * l).sum()))


def jackknife(x: np.ndarray, y: np.ndarray) -> float:
    """Compute the standard error of debiased CKA, one deletion at a time."""
    n = len(x)
    values = np.array([cka(np.delete(x, i, 0), np.delete(y, i, 0)) for i in range(n)])
    return float(np.sqrt((n - 1) / n * np.square(values - values.mean()).sum()))


def permuted_cka(x: np.ndarray, y: np.ndarray, permutations: int) -> np.ndarray:
    """Compute debiased linear CKA, then its values with the rows of y permuted ``[1 + permutations]``."""
    k, l = centred_gram(x), centred_gram(y)  # noqa: E741
    norm = np.sqrt((k * k).sum() * (l * l).sum())
    rng = np.random.default_rng(0)
    orders = [np.arange(len(x)), *(rng.permutation(len(x)) for _ in range(permutations))]
    return np.array([(k * l[order][:, order]).sum() / norm for order in orders])


def rsa(x: np.ndarray, y: np.ndarray) -> float:
    """Compute the rank correlation of distances."""
    return float(spearmanr(pdist(x), pdist(y)).statistic)


def mantel(x: np.ndarray, y: np.ndarray, permutations: int) -> tuple[float, float]:
    """Compute Mantel's r and its p value."""
    a, b = pdist(x), pdist(y)
    square = squareform(a)
    upper = np.triu_indices(len(x), 1)
    observed = float(pearsonr(a, b).statistic)
    rng = np.random.default_rng(0)
    null = []
    for _ in range(permutations):
        order = rng.permutation(len(x))
        null.append(pearsonr(square[order][:, order][upper], b).statistic)
    return observed, float((1 + (np.array(null) >= observed).sum()) / (permutations + 1))


def recall(x: np.ndarray, y: np.ndarray, k: int = 10) -> float:
    """Compute the share of common neighbours."""
    lists = [cdist(z, z).argsort(axis=1)[:, 1 : k + 1] for z in (x, y)]
    return float(np.mean([len(set(a) & set(b)) / k for a, b in zip(*lists, strict=True)]))


def ridge(x: np.ndarray, y: np.ndarray, splits: list[Arrays]) -> float:
    """Compute the held-out R2 of RidgeCV."""
    residual = total = 0.0
    for train, test in splits:
        centred = x[train] - x[train].mean(0)
        alphas = np.logspace(-3, 3, 13) * (centred**2).sum() / len(train)
        fitted = RidgeCV(alphas=alphas).fit(x[train], y[train])
        residual += ((y[test] - fitted.predict(x[test])) ** 2).sum()
        total += ((y[test] - y[train].mean(0)) ** 2).sum()
    return 1 - residual / total


def fitted_ridge(x: np.ndarray, y: np.ndarray, multiples: Sequence[float]) -> Callable[[np.ndarray], np.ndarray]:
    """Fit RidgeCV on standardised columns, with multiples of the mean eigenvalue; return its prediction function."""
    mean, scale = x.mean(0), x.std(0)
    z = (x - mean) / scale
    model = RidgeCV(alphas=np.array(multiples) * (z**2).sum() / len(z)).fit(z, y)
    return lambda rows: model.predict((rows - mean) / scale)
