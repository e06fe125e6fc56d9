"""Removal of a label from a space: rows minus the mean of their label, for use with any measure."""

from __future__ import annotations

import numpy as np
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.cka import linear_cka
from foresight_cli.metrics.validation import Labels, Matrix, as_codes, as_matrix, as_pair


def deconfounded(x: Matrix, labels: Labels) -> torch.Tensor:
    """Subtract from each row of ``x [n, d]`` the mean of all rows of its label; float64 ``[n, d]``.

    Pass the residuals of two spaces to any measure (`rsa`, `neighborhood`, `linear_probe`), and the label no longer
    adds to it. One label for all rows is plain centring. A row whose label no other row has becomes exactly zero and
    carries no information. Leave such rows out: every measure would treat them as equal rows.

    The residuals of one label sum to zero, in every space: with m rows per label they correlate by -1/(m - 1), and
    unrelated spaces share this. Compare with permutations within labels (see `deconfounded_cka`).

    Raises:
        ForesightError: ``x`` or ``labels`` is invalid, every row has its own label, or no label has rows that differ.

    Source: the within-class part of the variance, as in Fisher 1936.

    Example:
        >>> deconfounded([[1.0, 5.0], [3.0, 5.0], [10.0, 6.0]], ["cat", "cat", "dog"]).tolist()
        [[-1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]
    """
    values = as_matrix(x, "x", measure="deconfounded", min_rows=2)
    return _residuals(values, _repeated(labels, len(values)), "x")


def deconfounded_cka(x: Matrix, y: Matrix, labels: Labels, *, debiased: bool = True) -> float:
    """Linear CKA of ``x [n, d1]`` and ``y [n, d2]`` within labels: of their rows minus the mean of their label.

    Rows whose label no other row has are left out. The debiasing corrects for one common mean, not for one per label:
    unrelated Gaussian spaces with d columns of equal variance score near a/(1 + a), a = d / (n (m - 1)) with m rows per
    label: .77 at n = 300, d = 1000 and m = 2, .06 at m = 50. A permutation of rows within labels has the same bias and
    is the fair comparison.

    Raises:
        ForesightError: a matrix or ``labels`` is invalid, too few rows share a label, or no label has rows that differ.

    Source: `deconfounded` rows in Kornblith et al. 2019, arXiv 1905.00414, eq. 5.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> kind = rng.integers(0, 3, 200)
        >>> x, y = (np.eye(3)[kind] * 4 + rng.standard_normal((200, 3)) for _ in range(2))
        >>> round(linear_cka(x, y), 2), round(deconfounded_cka(x, y, kind), 2)
        (0.71, -0.01)
    """
    first, second = as_pair(x, y, measure="deconfounded_cka", min_rows=2)
    codes = _repeated(labels, len(first))
    shared = np.flatnonzero(np.bincount(codes)[codes] > 1)
    wanted = 4 if debiased else 2
    if len(shared) < wanted:
        raise ForesightError(
            f"labels has {len(shared)} rows that share their label: deconfounded_cka wants at least {wanted}"
        )
    rows = torch.from_numpy(shared).to(first.device)
    a, b = (
        _residuals(values[rows], as_codes(codes[shared], len(shared), "labels"), name)
        for values, name in ((first, "x"), (second, "y"))
    )
    return linear_cka(a, b, debiased=debiased)


def _repeated(labels: Labels, n: int) -> np.ndarray:
    codes = as_codes(labels, n, "labels")
    if codes.max() == n - 1:
        raise ForesightError(f"labels has {n} different values for {n} rows: wanted labels that repeat")
    return codes


def _residuals(x: torch.Tensor, codes: np.ndarray, name: str) -> torch.Tensor:
    counts = torch.from_numpy(np.bincount(codes)).to(x.device)
    label = torch.from_numpy(codes).to(x.device)
    # Subtract the first row of each label first: the mean of m equal numbers can differ from them in the last bit.
    _, first = np.unique(codes, return_index=True)
    shifted = x - x[torch.from_numpy(first).to(x.device)][label]
    sums = torch.zeros(len(counts), x.shape[1], dtype=x.dtype, device=x.device).index_add_(0, label, shifted)
    residuals: torch.Tensor = shifted.sub_((sums / counts[:, None])[label])
    if not residuals.any():
        raise ForesightError(f"{name} has equal rows within every label: nothing is left without label means")
    return residuals
