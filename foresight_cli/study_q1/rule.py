"""The four numbers of the Q1 study's rule on these data, by its methods: with duplicates, free splits, biased CKA."""

from __future__ import annotations

import numpy as np
import torch

from foresight_cli.inputs.representation import Representation
from foresight_cli.metrics import linear_cka, linear_probe, rsa


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
        "recall@10": _recall(x, y, k=min(10, len(rows) - 2)),
        "cka": linear_cka(x.space, y.space, debiased=False),
    }


def _recall(source: Representation, target: Representation, k: int) -> float:
    """Return the mean overlap of neighbour lists, sorted as in the study.

    The first column of a full sort is dropped as "self", and ties are in the order of the rows: among equal pictures,
    any two spaces agree only because of that order.
    """
    lists = []
    for space in (source, target):
        rows = space.rotated
        near = [torch.cdist(piece, rows).sort(dim=1, stable=True).indices[:, 1 : k + 1] for piece in rows.split(512)]
        lists.append(torch.cat(near).tolist())
    return float(np.mean([len(set(a) & set(b)) / k for a, b in zip(*lists, strict=True)]))
