"""Tests of dependence: one set of permutations for all pairs of spaces and all measures at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from foresight_cli.metrics.distances import squareform
from foresight_cli.metrics.neighbors import nearest_neighbors
from foresight_cli.metrics.permutations import count_at_least
from foresight_cli.metrics.permuted_products import ROUNDING, permuted_overlaps, permuted_products
from foresight_cli.metrics.rsa import standard_scores
from foresight_cli.metrics.space import Space
from foresight_cli.metrics.validation import Labels, as_codes
from foresight_cli.results.significance import ALPHA, PermutationTest

Floats = npt.NDArray[np.float64]

MEASURES = ("cka", "spearman", "recall")


@dataclass(frozen=True)
class Dependence:
    """Every measure of every source with every target, under the same permutations of the targets' rows.

    Attributes:
        measures: names of the measures.
        observed: values with the rows paired as they are ``[M, S, T]``.
        shifted: values with each row of the targets moved to another sample ``[M, S, T]``: no dependence may be left.
        null: values under each permutation ``[K, M, S, T]``.
        highest: the largest standardised null value of each permutation ``[K]``.
    """

    measures: Sequence[str]
    observed: Floats
    shifted: Floats
    null: Floats
    highest: Floats

    def tests(self, source: int, target: int) -> list[PermutationTest]:
        """Return the test of each measure for one pair."""
        return [self._test(m, source, target) for m in range(len(self.measures))]

    def power(self, r2: float, source: int, target: int, *, alpha: float = ALPHA) -> float:
        """Return the power of CKA's corrected test at level ``alpha``, for a target that shares ``r2`` with the source.

        Simulated: the share ``r2`` of the made-up target's variance has the source's geometry, the rest is that of the
        target, permuted. Cross terms, which are 0 on average, are left out.
        """
        m = list(self.measures).index("cka")
        moved = self.null[:, m, source, target]
        mean, sd = moved.mean(), moved.std()
        made = (r2 + (1 - r2) * moved) / np.sqrt(r2**2 + 2 * r2 * (1 - r2) * moved + (1 - r2) ** 2)
        critical = np.quantile(self.highest, 1 - alpha)
        return float(((made - mean) / sd >= critical).mean()) if sd > ROUNDING else 0.0

    def _test(self, m: int, s: int, t: int) -> PermutationTest:
        value, null = float(self.observed[m, s, t]), self.null[:, m, s, t]
        mean, sd = _moments(value, null)
        standardised = (value - mean) / sd if sd > ROUNDING else 0.0
        ordered = np.sort(np.append(null, value))
        limit = float(ordered[int(np.ceil(0.95 * len(ordered))) - 1])
        k = len(null)
        return PermutationTest(
            measure=self.measures[m],
            value=value,
            null_mean=float(null.mean()),
            null_sd=float(null.std()),
            p_value=(1 + count_at_least(null, value, rounding=ROUNDING)) / (k + 1),
            p_corrected=(1 + count_at_least(self.highest, standardised, rounding=1e-6)) / (k + 1),
            calibrated=max(0.0, (value - limit) / (1 - limit)) if limit < 1 else 0.0,
            critical=self._critical(mean, sd),
        )

    def _critical(self, mean: float, sd: float) -> float | None:
        """Return the smallest value, for a pair with this null, whose corrected p value is at most `ALPHA`."""
        allowed = int(ALPHA * (len(self.highest) + 1)) - 1
        return mean + sd * float(np.sort(self.highest)[-1 - allowed]) if allowed >= 0 else None


def dependence(
    sources: Sequence[Space],
    targets: Sequence[Space],
    *,
    k: int = 10,
    permutations: int = 999,
    labels: Labels | None = None,
    measures: Sequence[str] = MEASURES,
    seed: int = 0,
) -> Dependence:
    """Test CKA, distances and neighbours between every source and every target by permuting the paired rows.

    Each permutation is used for all pairs. The spaces of one network are alike, and so are their nulls; the largest
    standardised value takes this into account, where Bonferroni's correction would lose power. Gram matrices, ranks and
    neighbours are computed once; a permutation only indexes them.

    Args:
        sources: spaces ``[n, .]``, rows independent (one of each group).
        targets: likewise; the same rows.
        k: number of neighbours.
        permutations: number of permutations, K.
        measures: a selection of `MEASURES`.
        labels: if given, rows change places only within their label, and CKA is of the rows minus their label's mean:
            a test of what the spaces share beyond the labels. The only row of a label stays in place.
        seed: seed of permutations and ties.

    Source: maximum statistic, Westfall and Young 1993; one permutation for all layers and the calibrated score,
    Groeger et al. 2026, arXiv 2602.14486; restricted permutation, Winkler et al. 2014.
    """
    n = len(sources[0])
    rng = np.random.default_rng(seed)
    codes = np.zeros(n, dtype=np.int64) if labels is None else as_codes(labels, n, "labels")
    draws = list(_orders(codes, permutations, rng))
    spaces = [*sources, *targets]
    measured = []
    for measure in measures:
        if measure == "recall":
            neighbors = [nearest_neighbors(space.distances(), k, rng).indices for space in spaces]
            measured.append(permuted_overlaps(neighbors[: len(sources)], neighbors[len(sources) :], draws) / (n * k))
        else:
            fixed, moved = (_matrices(measure, side, codes) for side in (sources, targets))
            measured.append(permuted_products(fixed, moved, draws).cpu())
    values = torch.stack(measured, dim=1).numpy()  # as paired, shifted, then permuted
    return Dependence(measures, values[0], values[1], values[2:], _highest(values[0], values[2:]))


def _matrices(measure: str, spaces: Sequence[Space], codes: npt.NDArray[np.int64]) -> Iterator[torch.Tensor]:
    """Yield, for each space, the matrix ``[n, n]`` whose inner product with another's is ``measure``."""
    return (_aligned(space, codes) if measure == "cka" else _ranked(space) for space in spaces)


def _aligned(space: Space, codes: npt.NDArray[np.int64]) -> torch.Tensor:
    """Return the Gram matrix within labels, scaled such that the inner product of two is their debiased CKA."""
    matrix = u_centred(within(space.gram, codes))
    norm = torch.linalg.matrix_norm(matrix)
    return matrix / norm if norm > 0 else matrix


def u_centred(gram: torch.Tensor) -> torch.Tensor:
    """Return the Gram matrix ``[n, n]`` with zero diagonal and rows that sum to 0: inner products are unbiased HSIC.

    Source: Szekely and Rizzo 2014, eq. 2.5.
    """
    n = len(gram)
    hollow = gram.clone().fill_diagonal_(0)
    rows = hollow.sum(dim=1)
    centred = hollow - (rows / (n - 2))[:, None] - rows / (n - 2) + rows.sum() / ((n - 1) * (n - 2))
    return centred.fill_diagonal_(0)


def within(gram: torch.Tensor, codes: npt.NDArray[np.int64]) -> torch.Tensor:
    """Return the Gram matrix of rows minus the mean of their label, from the Gram matrix of the rows ``[n, n]``."""
    index = torch.from_numpy(codes).to(gram.device)
    counts = torch.bincount(index).to(gram.dtype)
    rows = torch.zeros(len(counts), len(gram), dtype=gram.dtype, device=gram.device).index_add_(0, index, gram)
    rows /= counts[:, None]
    blocks = torch.zeros(len(counts), len(counts), dtype=gram.dtype, device=gram.device)
    blocks = blocks.index_add_(1, index, rows) / counts
    mixed = rows[index]
    return gram - mixed - mixed.T + blocks[index][:, index]


def _orders(
    codes: npt.NDArray[np.int64], permutations: int, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the identity, a shift by one along a random order, then ``permutations`` random draws within labels."""
    n = len(codes)
    yield np.arange(n)
    ring, shifted = rng.permutation(n), np.empty(n, dtype=np.int64)
    shifted[ring] = np.roll(ring, 1)
    yield shifted
    members = [np.flatnonzero(codes == code) for code in range(int(codes.max()) + 1)]
    for _ in range(permutations):
        order = np.empty(n, dtype=np.int64)
        for rows in members:
            order[rows] = rng.permutation(rows)
        yield order


def _ranked(space: Space) -> torch.Tensor:
    """Return the ranks of the distances as a square ``[n, n]`` of norm 1."""
    return squareform(standard_scores(space.distances().condensed(), "spearman"), len(space)).div_(math.sqrt(2))


def _moments(value: float, null: Floats) -> tuple[float, float]:
    """Return mean and standard deviation with the observed value included, which keeps the test exact."""
    together = np.append(null, value)
    return float(together.mean()), float(together.std())


def _highest(observed: Floats, null: Floats) -> Floats:
    together = np.concatenate([null, observed[None]])
    mean, sd = together.mean(axis=0), together.std(axis=0)
    # A value that no permutation changes carries no information; do not amplify its rounding.
    standardised = (null - mean) / np.where(sd > ROUNDING, sd, np.inf)
    highest: Floats = standardised.reshape(len(null), -1).max(axis=1)
    return highest
