"""Agreement of the nearest neighbours in two spaces: recall@k, Jaccard@k and reciprocal ranks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from foresight_cli.metrics.distances import tiles
from foresight_cli.metrics.neighbors import masked_squared, nearest, ranks_of
from foresight_cli.metrics.space import SpaceLike, as_spaces
from foresight_cli.metrics.validation import check_count

# The queries share one gallery, so their recalls are not independent: the plain standard error was .0059 where the
# true spread was .0074 (in a simulation).
_SHARED_GALLERY = 1.3


@dataclass(frozen=True)
class Neighborhood:
    """Agreement of the k nearest neighbours in two spaces.

    Attributes:
        recall: mean of o / k, o = number of neighbours in common. The same in both directions.
        expected: recall of unrelated spaces, k / (n - 1).
        jaccard: mean of o / (2 k - o).
        expected_jaccard: Jaccard of unrelated spaces, where o is hypergeometric.
        mrr: mean of 1 / rank, in the target's order, of the nearest neighbour in the source.
        mrr_study: mean over all k source neighbours of 1 / rank in the target's order (the study's "MRR@k").
        expected_mrr: either of the two for unrelated spaces, H(n - 1) / (n - 1).
        standard_error: of recall, across queries, times 1.3 because the queries share one gallery.
        recall_per_row: o / k of each query ``[q]``.
        queries: row numbers of the queries, ``[q]``.
        k: number of neighbours.
        n: number of rows. Recall depends on it: compare only values with the same n.
    """

    recall: float
    expected: float
    jaccard: float
    expected_jaccard: float
    mrr: float
    mrr_study: float
    expected_mrr: float
    standard_error: float
    k: int
    n: int
    recall_per_row: npt.NDArray[np.float64] = field(repr=False, compare=False)
    queries: npt.NDArray[np.int64] = field(repr=False, compare=False)


def neighborhood(
    x: SpaceLike,
    y: SpaceLike,
    *,
    k: int = 10,
    distance: str = "euclidean",
    queries: int | None = None,
    seed: int = 0,
) -> Neighborhood:
    """Agreement of the ``k`` nearest neighbours in the source ``x [n, d1]`` and the target ``y [n, d2]``.

    A row is never its own neighbour. Equal distances are ordered at random by ``seed``, independently in each space.
    With ``queries``, only that many random rows are queries (the gallery is still all n). Time n q (d1 + d2); memory a
    few tiles.

    Args:
        x: source rows.
        y: target rows.
        k: neighbours, 1 to n - 1.
        distance: ``euclidean``, ``sqeuclidean`` (the same order), ``cosine`` or ``correlation``.
        queries: number of query rows; None for all.
        seed: seed of ties and queries.

    Raises:
        ForesightError: a matrix is invalid, has fewer than 3 rows, or ``k``, ``queries`` or ``distance`` is impossible.

    Source: mutual k-NN of Huh et al. 2024, arXiv 2405.07987. Deviations: Euclidean by default (theirs: inner product of
    unit rows), random ties.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).standard_normal((100, 8))
        >>> same = neighborhood(x, 2 * x + 1, k=5)
        >>> same.recall, same.mrr, round(same.expected, 4)
        (1.0, 1.0, 0.0505)
    """
    first, second = as_spaces(x, y, measure="neighborhood", min_rows=3)
    n = len(first)
    check_count(k, "k", low=1, high=n - 1, why=f" for {n} rows")
    source, target = first.distances(distance), second.distances(distance)
    rng = np.random.default_rng(seed)
    asked = _draw_queries(n, queries, rng)
    shared, first_ranks, all_ranks = [], [], []
    for piece in tiles(len(asked), n, first.device):
        rows = torch.from_numpy(asked).to(first.device)[piece]
        in_target = masked_squared(target, rows)
        neighbors = nearest(masked_squared(source, rows), k, rng).indices
        shared.append(count_shared(neighbors, nearest(in_target, k, rng).indices))
        inverse = 1.0 / ranks_of(in_target, neighbors, rng).double()
        first_ranks.append(inverse[:, 0])
        all_ranks.append(inverse.mean(dim=1))
    overlap = torch.cat(shared).double().cpu().numpy()
    return Neighborhood(
        recall=float((overlap / k).mean()),
        expected=k / (n - 1),
        jaccard=float((overlap / (2 * k - overlap)).mean()),
        expected_jaccard=expected_jaccard(n, k),
        mrr=float(torch.cat(first_ranks).mean()),
        mrr_study=float(torch.cat(all_ranks).mean()),
        expected_mrr=float((1.0 / np.arange(1, n)).mean()),
        standard_error=_SHARED_GALLERY * float((overlap / k).std(ddof=1)) / math.sqrt(len(overlap)),
        k=k,
        n=n,
        recall_per_row=overlap / k,
        queries=asked,
    )


def count_shared(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Count the entries that row i of ``left [q, k]`` and row i of ``right [q, k]`` have in common ``[q]``."""
    shared = torch.zeros(len(left), dtype=torch.int64, device=left.device)
    for column in right.T:
        shared += (left == column[:, None]).any(dim=1)
    return shared


def expected_jaccard(n: int, k: int) -> float:
    """Return the mean Jaccard of two independent random k-subsets of n - 1 rows: the overlap is hypergeometric."""
    total = math.comb(n - 1, k)
    chances = (math.comb(k, o) * math.comb(n - 1 - k, k - o) / total for o in range(k + 1))
    return sum(chance * o / (2 * k - o) for o, chance in enumerate(chances))


def _draw_queries(n: int, queries: int | None, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    if queries is None:
        return np.arange(n)
    check_count(queries, "queries", low=2, high=n, why=f" for {n} rows")
    return np.sort(rng.choice(n, queries, replace=False))
