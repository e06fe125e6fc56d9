"""The data behind oracles.json, and those of its numbers that need more than one call."""

import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.distance import pdist, squareform
from scipy.special import gammainc
from sklearn.datasets import load_digits, load_iris, make_swiss_roll
from sklearn.model_selection import KFold

from foresight_cli import metrics as m
from foresight_cli.inference.cka_null import product_moments
from foresight_cli.metrics.cka import linear_sums

ORACLES = json.loads((Path(__file__).parent / "oracles.json").read_text())
FEW = {"minimum_rows_per_dimension": 0}
BIASED = {"debiased": False}
PEARSON = {"correlation": "pearson"}


@cache
def hand(case):
    return np.array(ORACLES[case]["X"], dtype=float), np.array(ORACLES[case]["Y"], dtype=float)


@cache
def iris():
    x, labels = load_iris(return_X_y=True)
    return x[:, :2], x[:, 2:], labels


@cache
def halves():
    x = load_digits().data
    return x[:, :32], x[:, 32:]


@cache
def g1():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((200, 5))
    return tuple(z @ rng.standard_normal((5, d)) + rng.standard_normal((200, d)) for d in (20, 30))


def on(data, measure, **options):
    """Return a function that computes a measure of the first two matrices of some data."""
    return lambda: measure(*data()[:2], **options)


def a():
    return hand("A")


def b():
    return hand("B")


def hsic(pair, term):
    n = len(pair[0])
    return linear_sums(*pair, min_rows=4, measure="hsic").hsic(debiased=True)[term] / (n * (n - 3))


def distance_correlation(x, y):
    """Return the CKA of minus the distances: dcor's u_distance_correlation_sqr with exponent 1."""
    return m.gram_cka(*(torch.tensor(-squareform(pdist(values))) for values in (x, y)))


def moments(x, y):
    return product_moments(linear_sums(x, y, min_rows=4, measure="moments"))


def including_the_diagonal(x, y):
    squared = [squareform(pdist(values, "sqeuclidean")) for values in (x, y)]
    return m.gram_cka(*(torch.tensor(np.exp(-s / (2 * np.median(s)))) for s in squared), debiased=False)


def g1_probe():
    folds = [(np.setdiff1d(np.arange(200), test), test) for test in G1_FOLDS]
    return m.linear_probe(*g1(), folds=folds, standardize=False, penalties=np.logspace(-3, 3, 7)).r2


G1_FOLDS = np.array_split(np.random.default_rng(7).permutation(200), 5)


@cache
def ridge100(reverse):
    """Return truth, held-out predictions of Ridge(100) and train means, fold by fold through the probe."""
    x, y = halves()[::-1] if reverse else halves()
    predicted, means = np.empty_like(y), np.empty_like(y)
    for train, test in KFold(5, shuffle=True, random_state=0).split(x):
        unit = ((x[train] - x[train].mean(axis=0)) ** 2).sum() / len(train)
        options = {"penalties": [100 / unit], "reach": math.inf, "standardize": False, "predictions": True}
        predicted[test] = m.linear_probe(x, y, folds=[(train, test)], **options).predictions[test]
        means[test] = y[train].mean(axis=0)
    return y, predicted, means


def r2(reverse=False, about_train=False):
    y, predicted, means = ridge100(reverse)
    baseline = means if about_train else y.mean(axis=0)
    return 1 - ((y - predicted) ** 2).sum() / ((y - baseline) ** 2).sum()


def cosine(left, right):
    products = (left * right).sum(axis=1)
    return (products / (np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1))).mean()


def centred_cosine():
    y, predicted, _ = ridge100(False)
    return cosine(y - y.mean(axis=0), predicted - y.mean(axis=0))


@cache
def near():
    return {k: m.neighborhood(*g1(), k=k) for k in (1, 5, 10, 20)}


def with_eigenvalues():
    roots = np.diag(np.sqrt(np.array(ORACLES["K"]["eigs"]) / 2))
    return np.vstack([roots, -roots])


@cache
def ball():
    x = np.random.RandomState(0).normal(size=(2000, 10))
    squares = (x**2).sum(axis=1)
    return x * (gammainc(5, squares / 2) ** 0.1 / np.sqrt(squares))[:, None]


@cache
def sphere():
    x = np.random.RandomState(0).normal(size=(2000, 6))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@cache
def roll():
    return make_swiss_roll(2000, random_state=0)[0]


def population():
    """Return the population's CKA, from rows with exactly its second moments: a root of the joint covariance."""
    rng = np.random.default_rng(5)
    joint = np.hstack([rng.standard_normal((3, 6)), rng.standard_normal((3, 8))])
    root = np.linalg.cholesky(joint.T @ joint + np.eye(14)).T
    rows = np.vstack([root, -root])
    return m.linear_cka(rows[:, :6], rows[:, 6:], debiased=False)


def isotropic(n, d1, d2):
    """Return one draw of the biased value, whose limit is the closed form."""
    rng = np.random.default_rng(0)
    return m.linear_cka(rng.standard_normal((n, d1)), rng.standard_normal((n, d2)), debiased=False)
