"""Detection of equal and nearly equal rows: they are one sample, and must not be on both sides of a split."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.distances import tiles
from foresight_cli.metrics.linear_algebra import smaller_product
from foresight_cli.metrics.validation import Matrix, as_matrix

log = logging.getLogger(__name__)

# Rows from which the width of a space is estimated.
_SAMPLE = 1000

TREE_ROWS = 5000
"""Above this many rows, a tree over the first `TREE_COLUMNS` coordinates gives the candidate pairs."""
TREE_COLUMNS = 8
NEAREST = 16
"""Candidates compared with every row; a row with more candidates gets them while the total is at most `TOO_MANY` per
row and `MOST_LISTED`."""
TOO_MANY = 30
MOST_LISTED = 10_000_000
ALL_PAIRS_ROWS = 50_000
"""Where there are more candidates than that, up to this many rows are compared each with each."""
MOST_HEADS = 50_000
PAIRS_AT_ONCE = 4096
_COLUMNS_AT_ONCE = 256


def duplicate_groups(
    x: Matrix, *, tolerance: float = 2e-4, columns: float | None = None
) -> tuple[tuple[int, ...], ...]:
    """Find the groups of rows of ``x [n, d]`` that are equal or nearly so, as row indices in order of first row.

    Rows i and j are duplicates if their bytes are equal, or if, with the median of every column subtracted, **both**

    - cos(x_i, x_j) > 1 - tolerance, and
    - |x_i - x_j|^2 < c V, with V twice the median squared length of a row, the squared distance of two typical rows,
      and c = min(tolerance, (1 / (100 pairs))^(2/w)), w the participation ratio of the rows' directions.

    The cosine alone would join rows that merely point in the same direction, as many do when there are few columns. The
    second term of c protects spaces that are a few columns wide (w < 4 at n = 500), or dominated by one massive column,
    where rows come this close by chance: it is about the distance that the closest of all pairs of random rows would
    fall below in one of a hundred data sets. Duplicates of duplicates are in one group. ``tolerance=0`` keeps only
    equal rows. Medians, because a few huge rows would move the mean so far away that all others look alike from there.
    A row exactly at the median has no direction, so only an equal row can be its duplicate.

    Memory is one tile, one or two copies of ``x`` in double precision, and the list of close pairs; time n^2 d up to
    5,000 rows, about n log n + n d above. Where rows have very many neighbours, all pairs are compared after all; with
    more than 50,000 rows, only the 16 nearest of these rows, and then one row of each resulting group with one row of
    each other group. Groups that are close only between other rows stay separate.

    Args:
        x: the rows.
        tolerance: see above.
        columns: w of the original rows, where ``x`` is a random projection of them; see `effective_columns`.

    Raises:
        ForesightError: ``x`` is invalid or ``tolerance`` is not within 0 .. 1.

    Source: the rule is ours. The tolerance finds copies whose noise has 1 % of their length each (cosine 1 - 1.1e-4).

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).standard_normal((6, 50))
        >>> x[4], x[5] = x[1], x[2] + 1e-4
        >>> duplicate_groups(x)
        ((1, 4), (2, 5))
    """
    if not 0 <= tolerance < 1:
        raise ForesightError(f"tolerance={tolerance}: wanted a number from 0, below 1")
    values = as_matrix(x, "x", measure="duplicate_groups", min_rows=1)
    first = first_of_each(values)
    distinct = np.unique(first)
    left, right = np.arange(len(first)), first
    if tolerance > 0 and len(distinct) > 2:
        kept = values[torch.from_numpy(distinct).to(values.device)]  # a copy, which may change
        del values
        near = _near_pairs(kept.sub_(_medians(kept)), tolerance, columns)
        left, right = np.concatenate([left, distinct[near[0]]]), np.concatenate([right, distinct[near[1]]])
    return _components(len(first), left, right)


def first_of_each(x: torch.Tensor) -> npt.NDArray[np.int64]:
    """Return, for each row of ``x [n, d]``, the index of the first row with the same bits (0 and -0 are equal)."""
    seen: dict[bytes, int] = {}
    # Adding 0 turns -0 into 0.
    pieces = ((piece + 0.0).cpu().numpy() for piece in x.split(PAIRS_AT_ONCE))
    digests = (hashlib.blake2b(row.tobytes(), digest_size=16).digest() for rows in pieces for row in rows)
    return np.array([seen.setdefault(digest, index) for index, digest in enumerate(digests)], dtype=np.int64)


def _medians(x: torch.Tensor) -> torch.Tensor:
    """Return the median of every column ``[d]``, computed a few columns at a time: sorting makes copies."""
    return torch.cat([columns.median(dim=0).values for columns in x.split(_COLUMNS_AT_ONCE, dim=1)])


def effective_columns(x: torch.Tensor) -> float:
    """Return the participation ratio of the directions of ``x [n, d]`` around its medians: w of `duplicate_groups`."""
    values = x.double()
    return _effective_columns(values - _medians(values))


def _near_pairs(rows: torch.Tensor, tolerance: float, columns: float | None) -> npt.NDArray[np.int64]:
    """Find index pairs ``[2, p]`` of near-duplicates among distinct rows; the pairs link every group completely."""
    n = len(rows)
    norms = rows.square().sum(dim=1)
    chance = (100 * n * (n - 1) / 2) ** (-2 / (columns or _effective_columns(rows)))
    limit = min(tolerance, chance) * 2 * float(norms.median())

    def close(pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        i, j = torch.from_numpy(pairs).to(rows.device)
        close_enough = [
            ((rows[a] * rows[b]).sum(dim=1) > (1 - tolerance) * (norms[a] * norms[b]).sqrt())
            & ((rows[a] - rows[b]).square().sum(dim=1) < limit)
            for a, b in zip(i.split(PAIRS_AT_ONCE), j.split(PAIRS_AT_ONCE), strict=True)
        ]
        return pairs[:, torch.cat(close_enough).cpu().numpy()]

    if n <= TREE_ROWS:
        return close(_neighbours_in_tiles(rows, norms, limit))
    pairs, crowded = _neighbours_in_a_tree(rows, limit, close)
    if not len(crowded):
        return pairs
    if n <= ALL_PAIRS_ROWS:
        return close(_neighbours_in_tiles(rows, norms, limit))
    heads = _heads(n, pairs, crowded)
    if len(heads) > MOST_HEADS:
        log.warning("warning: %d rows have too many neighbours to find all near-duplicates among them", n)
        heads = heads[:MOST_HEADS]
    between = close(heads[_neighbours_in_tiles(rows[torch.from_numpy(heads)], norms[torch.from_numpy(heads)], limit)])
    return np.concatenate([pairs, between], axis=1)


def _heads(n: int, pairs: npt.NDArray[np.int64], crowded: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return one row of each set that ``pairs`` link and that contains a crowded row."""
    labels = _labels(n, *pairs)
    _, first = np.unique(labels[crowded], return_index=True)
    return crowded[first]


def _neighbours_in_tiles(rows: torch.Tensor, norms: torch.Tensor, limit: float) -> npt.NDArray[np.int64]:
    """Find, among all ``n (n - 1) / 2`` pairs, those ``[2, p]``, i < j, with a squared distance of about ``limit``."""
    n = len(rows)
    pairs = []
    for piece in tiles(n, n, rows.device):
        squared = norms[piece, None] + norms - 2 * (rows[piece] @ rows.T)
        # Slightly above the limit: this sum has lost digits that `close` keeps by taking differences.
        close = squared < limit * (1 + 1e-6) + 1e-12 * norms[piece, None]
        close &= torch.arange(n, device=rows.device) > piece[:, None]
        i, j = torch.nonzero(close, as_tuple=True)
        pairs.append(torch.stack([piece[i], j]).cpu().numpy())
    return np.concatenate(pairs, axis=1)


def _neighbours_in_a_tree(
    rows: torch.Tensor, limit: float, close: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Find the ``close`` pairs without comparing all; return them and the rows with too many candidates for that."""
    points, n, reach = _widest(rows), len(rows), math.sqrt(limit) * (1 + 1e-6)
    tree = KDTree(points)
    near_pairs, more = [], []
    for piece in np.split(np.arange(n), range(PAIRS_AT_ONCE, n, PAIRS_AT_ONCE)):
        _, near = tree.query(points[piece], k=NEAREST + 1, distance_upper_bound=reach, workers=-1)
        pairs = np.stack([np.repeat(piece, NEAREST + 1), near.ravel()])
        near_pairs.append(close(pairs[:, (pairs[1] < n) & (pairs[0] != pairs[1])]))  # the tree answers n for "no more"
        more.append(piece[near[:, -1] < n])
    many = np.concatenate(more)
    if not len(many):
        return np.concatenate(near_pairs, axis=1), many
    counts = tree.query_ball_point(points[many], reach, return_length=True, workers=-1)
    order = np.argsort(counts, kind="stable")
    ends = np.cumsum(counts[order])
    few = ends <= min(TOO_MANY * n, MOST_LISTED)  # the least crowded first, so that no crowd uses up the total
    listed = order[few]
    cuts = np.flatnonzero(np.diff(ends[: len(listed)] // (NEAREST * PAIRS_AT_ONCE))) + 1
    for piece in np.split(many[listed], cuts):
        lists = tree.query_ball_point(points[piece], reach, workers=-1)
        near = np.concatenate([np.empty(0, np.int64), *(np.asarray(candidates, np.int64) for candidates in lists)])
        pairs = np.stack([np.repeat(piece, [len(candidates) for candidates in lists]), near])
        near_pairs.append(close(pairs[:, pairs[0] != pairs[1]]))
    return np.concatenate(near_pairs, axis=1), many[order[len(listed) :]]


def _widest(rows: torch.Tensor) -> npt.NDArray[np.float64]:
    """Project the rows on the few directions in which a sample of them spreads most; no distance grows by this."""
    some = rows[:: -(-len(rows) // _SAMPLE)]
    directions = some / torch.linalg.vector_norm(some, dim=1, keepdim=True).clamp_min(1e-300)
    axes = torch.linalg.svd(directions, full_matrices=False).Vh[:TREE_COLUMNS]
    return np.asarray((rows @ axes.T).cpu().numpy())


def _effective_columns(rows: torch.Tensor) -> float:
    """Return the participation ratio of the rows' directions: the number of equal columns that would spread as much."""
    some = rows[:: -(-len(rows) // _SAMPLE)]
    product = smaller_product(some / torch.linalg.vector_norm(some, dim=1, keepdim=True).clamp_min(1e-300))
    return max(1.0, float(product.trace() ** 2 / product.square().sum()))


def _labels(n: int, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Return, for each of ``n`` rows, the number of its set of linked rows."""
    links = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=(n, n))
    return np.asarray(connected_components(links, directed=False)[1])


def _components(n: int, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    labels = _labels(n, left, right)
    members = np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels))[:-1])
    groups = [tuple(int(row) for row in rows) for rows in members if len(rows) > 1]
    return tuple(sorted(groups))
