"""Rows that are equal, or so nearly equal that they are one sample: they must not stand on both sides of a split."""

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

# Rows that the width of a space is estimated from.
_SAMPLE = 1000

TREE_ROWS = 5000
"""More rows are put in a tree by their first `TREE_COLUMNS` coordinates, and what lies close there is looked at."""
TREE_COLUMNS = 8
NEAREST = 16
"""Candidates that every row has looked at; rows with more, as far as `TOO_MANY` a row of all or `MOST_LISTED` allow."""
TOO_MANY = 30
MOST_LISTED = 10_000_000
ALL_PAIRS_ROWS = 50_000
"""So many rows are compared each with each where there are more candidates than that."""
MOST_HEADS = 50_000
PAIRS_AT_ONCE = 4096
_COLUMNS_AT_ONCE = 256


def duplicate_groups(
    x: Matrix, *, tolerance: float = 2e-4, columns: float | None = None
) -> tuple[tuple[int, ...], ...]:
    """Groups of two and more row indices of ``x [n, d]`` whose rows are equal or nearly so, in order of first row.

    Rows i and j are duplicates if their bytes are equal, or if, with the median of every column taken off, **both**

    - cos(x_i, x_j) > 1 - tolerance, and
    - |x_i - x_j|^2 < c V, with V twice the median squared length of a row, the squared distance of two typical rows,
      and c = min(tolerance, (1 / (100 pairs))^(2/w)), w the participation ratio of the rows' directions.

    The cosine alone would join rows that merely point the same way, as many do in few columns. The second term of c
    guards spaces that are a few columns wide (w < 4 at n = 500), or that one massive column dominates, where rows come
    this close by chance: it is about the distance that the nearest of all pairs of random rows would undercut once in a
    hundred data sets. Duplicates of duplicates are one
    group. ``tolerance=0`` keeps only equal rows. Medians, because a few huge rows would drag the mean so far away that
    from there all others look alike. A row exactly at the median has no direction and can only be an equal.

    Memory is one tile, a copy of ``x`` in double precision or two, and the list of close pairs; time n^2 d up to 5,000
    rows, about n log n + n d above. Where rows have very many neighbours, all pairs are looked at again; of more than
    50,000 rows only these rows' 16 nearest, and then one row of each group so found against one of each other. Groups
    that touch elsewhere stay two.

    Args:
        x: the rows.
        tolerance: see above.
        columns: w, where ``x`` is a random projection of the rows that are meant; see `effective_columns`.

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
    """For every row of ``x [n, d]`` the index of the first row that equals it in every bit (0 and -0 are equal)."""
    seen: dict[bytes, int] = {}
    # Adding 0 turns -0 into 0.
    pieces = ((piece + 0.0).cpu().numpy() for piece in x.split(PAIRS_AT_ONCE))
    digests = (hashlib.blake2b(row.tobytes(), digest_size=16).digest() for rows in pieces for row in rows)
    return np.array([seen.setdefault(digest, index) for index, digest in enumerate(digests)], dtype=np.int64)


def _medians(x: torch.Tensor) -> torch.Tensor:
    """The median of every column ``[d]``, found a few columns at a time: sorting takes copies."""
    return torch.cat([columns.median(dim=0).values for columns in x.split(_COLUMNS_AT_ONCE, dim=1)])


def effective_columns(x: torch.Tensor) -> float:
    """The participation ratio of the directions of ``x [n, d]`` around its medians, w of `duplicate_groups`."""
    values = x.double()
    return _effective_columns(values - _medians(values))


def _near_pairs(rows: torch.Tensor, tolerance: float, columns: float | None) -> npt.NDArray[np.int64]:
    """Index pairs ``[2, p]`` of distinct rows that are near-duplicates; they link all that there are."""
    n = len(rows)
    norms = rows.square().sum(dim=1)
    chance = (100 * n * (n - 1) / 2) ** (-2 / (columns or _effective_columns(rows)))
    limit = min(tolerance, chance) * 2 * float(norms.median())

    def close(pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        i, j = torch.from_numpy(pairs).to(rows.device)
        found = [
            ((rows[a] * rows[b]).sum(dim=1) > (1 - tolerance) * (norms[a] * norms[b]).sqrt())
            & ((rows[a] - rows[b]).square().sum(dim=1) < limit)
            for a, b in zip(i.split(PAIRS_AT_ONCE), j.split(PAIRS_AT_ONCE), strict=True)
        ]
        return pairs[:, torch.cat(found).cpu().numpy()]

    if n <= TREE_ROWS:
        return close(_neighbours_in_tiles(rows, norms, limit))
    pairs, crowded = _neighbours_in_a_tree(rows, limit, close)
    if not len(crowded):
        return pairs
    if n <= ALL_PAIRS_ROWS:
        return close(_neighbours_in_tiles(rows, norms, limit))
    heads = _heads(n, pairs, crowded)
    if len(heads) > MOST_HEADS:
        log.warning("warning: %d rows have so many neighbours that not all near-duplicates among them are found", n)
        heads = heads[:MOST_HEADS]
    between = close(heads[_neighbours_in_tiles(rows[torch.from_numpy(heads)], norms[torch.from_numpy(heads)], limit)])
    return np.concatenate([pairs, between], axis=1)


def _heads(n: int, pairs: npt.NDArray[np.int64], crowded: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """One row of each set that ``pairs`` link and that holds a crowded row."""
    labels = _labels(n, *pairs)
    _, first = np.unique(labels[crowded], return_index=True)
    return crowded[first]


def _neighbours_in_tiles(rows: torch.Tensor, norms: torch.Tensor, limit: float) -> npt.NDArray[np.int64]:
    """Pairs ``[2, p]``, i < j, not much farther from each other than ``limit`` says, of all ``n (n - 1) / 2``."""
    n = len(rows)
    pairs = []
    for piece in tiles(n, n, rows.device):
        squared = norms[piece, None] + norms - 2 * (rows[piece] @ rows.T)
        # A little more than the limit: the sum has lost digits that the differences keep.
        close = squared < limit * (1 + 1e-6) + 1e-12 * norms[piece, None]
        close &= torch.arange(n, device=rows.device) > piece[:, None]
        i, j = torch.nonzero(close, as_tuple=True)
        pairs.append(torch.stack([piece[i], j]).cpu().numpy())
    return np.concatenate(pairs, axis=1)


def _neighbours_in_a_tree(
    rows: torch.Tensor, limit: float, close: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Those pairs that are ``close``, found without looking at all, and the rows with too many candidates for that."""
    points, n, reach = _widest(rows), len(rows), math.sqrt(limit) * (1 + 1e-6)
    tree = KDTree(points)
    found, more = [], []
    for piece in np.split(np.arange(n), range(PAIRS_AT_ONCE, n, PAIRS_AT_ONCE)):
        _, near = tree.query(points[piece], k=NEAREST + 1, distance_upper_bound=reach, workers=-1)
        pairs = np.stack([np.repeat(piece, NEAREST + 1), near.ravel()])
        found.append(close(pairs[:, (pairs[1] < n) & (pairs[0] != pairs[1])]))  # n is for "no more"
        more.append(piece[near[:, -1] < n])
    many = np.concatenate(more)
    if not len(many):
        return np.concatenate(found, axis=1), many
    counts = tree.query_ball_point(points[many], reach, return_length=True, workers=-1)
    order = np.argsort(counts, kind="stable")
    ends = np.cumsum(counts[order])
    few = ends <= min(TOO_MANY * n, MOST_LISTED)  # the least crowded first: no crowd takes the share of others
    listed = order[few]
    cuts = np.flatnonzero(np.diff(ends[: len(listed)] // (NEAREST * PAIRS_AT_ONCE))) + 1
    for piece in np.split(many[listed], cuts):
        lists = tree.query_ball_point(points[piece], reach, workers=-1)
        near = np.concatenate([np.empty(0, np.int64), *(np.asarray(one, np.int64) for one in lists)])
        pairs = np.stack([np.repeat(piece, [len(one) for one in lists]), near])
        found.append(close(pairs[:, pairs[0] != pairs[1]]))
    return np.concatenate(found, axis=1), many[order[len(listed) :]]


def _widest(rows: torch.Tensor) -> npt.NDArray[np.float64]:
    """The rows along the few directions in which a sample of them spreads most: nowhere are two farther apart there."""
    some = rows[:: -(-len(rows) // _SAMPLE)]
    directions = some / torch.linalg.vector_norm(some, dim=1, keepdim=True).clamp_min(1e-300)
    axes = torch.linalg.svd(directions, full_matrices=False).Vh[:TREE_COLUMNS]
    return np.asarray((rows @ axes.T).cpu().numpy())


def _effective_columns(rows: torch.Tensor) -> float:
    """The participation ratio of the rows' directions: how many columns of one size would spread them as much."""
    some = rows[:: -(-len(rows) // _SAMPLE)]
    product = smaller_product(some / torch.linalg.vector_norm(some, dim=1, keepdim=True).clamp_min(1e-300))
    return max(1.0, float(product.trace() ** 2 / product.square().sum()))


def _labels(n: int, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """The number of the set that each of ``n`` rows is linked into."""
    links = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=(n, n))
    return np.asarray(connected_components(links, directed=False)[1])


def _components(n: int, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    labels = _labels(n, left, right)
    members = np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels))[:-1])
    groups = [tuple(int(row) for row in rows) for rows in members if len(rows) > 1]
    return tuple(sorted(groups))
