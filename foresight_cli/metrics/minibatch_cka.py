"""Debiased CKA in batches of rows, for kernels whose Gram matrix does not fit."""

from __future__ import annotations

import numpy as np
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.cka import gram_sums
from foresight_cli.metrics.kernels import rbf_gram
from foresight_cli.metrics.space import Space
from foresight_cli.metrics.validation import Matrix, as_pair, centre_varying, check_choice, check_count


def minibatch_cka(
    x: Matrix,
    y: Matrix,
    *,
    batch_size: int = 256,
    kernel: str = "linear",
    bandwidth: float = 1.0,
    seed: int | None = 0,
) -> float:
    """Debiased CKA whose three HSIC terms are summed over batches of rows before the one division.

    For kernels whose ``[n, n]`` matrix is too large; for the linear kernel `linear_cka` is exact. Rows that do not fill
    a last batch are dropped. Batches are random (``seed``), because batches sorted by class would measure similarity
    within classes; ``seed=None`` keeps the order of the rows.

    Raises:
        ForesightError: a matrix is invalid or constant, or ``batch_size`` is not within 4 .. n.

    Source: Nguyen, Raghu, Kornblith 2021, arXiv 2010.15327, eq. 2.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).standard_normal((64, 8))
        >>> round(minibatch_cka(x, -x, batch_size=16), 12)
        1.0
    """
    check_choice(kernel, ("linear", "rbf"), "kernel")
    first, second = as_pair(x, y, measure="minibatch_cka", min_rows=4)
    n = len(first)
    check_count(batch_size, "batch_size", low=4, high=n, why=f" for {n} rows")
    first = centre_varying(first, "x", measure="minibatch_cka")
    second = centre_varying(second, "y", measure="minibatch_cka")
    order = np.arange(n) if seed is None else np.random.default_rng(seed).permutation(n)
    totals = np.zeros(3)
    for rows in torch.split(torch.from_numpy(order[: n - n % batch_size]).to(first.device), batch_size):
        a, b = first[rows], second[rows]
        if kernel == "linear":
            sums = gram_sums(a @ a.T, b @ b.T)
        else:
            sums = gram_sums(rbf_gram(Space(a), bandwidth, "x"), rbf_gram(Space(b), bandwidth, "y"))
        totals += sums.hsic(debiased=True)
    if totals[1] <= 0 or totals[2] <= 0:
        raise ForesightError("minibatch_cka: no batch has rows that vary; wanted larger or random batches")
    return float(totals[0] / np.sqrt(totals[1] * totals[2]))
