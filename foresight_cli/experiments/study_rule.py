"""The Q1 study's four numbers on these data, computed its way: duplicates in, rows split freely, CKA biased."""

from __future__ import annotations

import numpy as np

from foresight_cli.experiments.representation import Representation
from foresight_cli.metrics import linear_cka, linear_probe, neighborhood, rsa


def study_values(source: Representation, target: Representation, *, max_rows: int, seed: int) -> dict[str, float]:
    """R2 (the better direction), Spearman, recall@10 and biased CKA, as the study's rule took them.

    Deviation: ridge regression in place of the study's Adam loop, which stopped early on its test rows.
    """
    n = len(source.values)
    rows = np.sort(np.random.default_rng(seed).permutation(n)[:max_rows])
    x, y = source.rows(rows.tolist()), target.rows(rows.tolist())
    forward = linear_probe(x.values, y.rotated, seed=seed).r2
    reverse = linear_probe(y.values, x.rotated, seed=seed).r2
    return {
        "r2": max(forward, reverse),
        "spearman": rsa(x.rotated, y.rotated),
        "recall@10": neighborhood(x.rotated, y.rotated, k=min(10, n - 2), seed=seed).recall,
        "cka": linear_cka(x.rotated, y.rotated, debiased=False),
    }
