"""The four numbers of the Q1 study's rule on these data, by its methods: with duplicates, free splits, biased CKA."""

from __future__ import annotations

import numpy as np

from foresight_cli.inputs.representation import Representation
from foresight_cli.metrics import linear_cka, linear_probe, rsa
from foresight_cli.study_q1.numbers import overlap


def study_values(source: Representation, target: Representation, *, max_rows: int, seed: int) -> dict[str, float]:
    """Return R2 (the better direction), Spearman, recall@10 and biased CKA, as in the study's rule.

    Deviation: ridge regression in place of the study's Adam loop, which stopped early on its test rows.
    """
    n = len(source.values)
    rows = np.sort(np.random.default_rng(seed).permutation(n)[:max_rows])
    x, y = source.rows(rows.tolist()), target.rows(rows.tolist())
    forward = linear_probe(x.space, y.space, seed=seed).r2
    reverse = linear_probe(y.space, x.space, seed=seed).r2
    return {
        "r2": max(forward, reverse),
        "spearman": rsa(x.space, y.space),
        "recall@10": overlap(x.rotated, y.rotated, k=min(10, len(rows) - 2))[0],
        "cka": linear_cka(x.space, y.space, debiased=False),
    }
