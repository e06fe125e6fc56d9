"""Rows that are equal, or so nearly equal that they are one sample: they must not stand on both sides of a split."""

from __future__ import annotations

import hashlib
import math

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

# Rows that the width of a space is estimated from.
_SAMPLE = 1000

TREE_ROWS = 5000
"""More rows are put in a tree by their first `TREE_COLUMNS` coordinates, and what lies close there is looked at."""
TREE_COLUMNS = 8
NEAREST = 16
TOO_MANY = 100
"""Candidates a row, of all rows that have more than `NEAREST`, above which not all of them are looked at."""
ALL_PAIRS_ROWS = 50_000
"""Then all pairs of so many rows are; of more rows, the nearest candidates of each."""
PAIRS_AT_ONCE = 4096
_COLUMNS_AT_ONCE = 256


def duplicate_groups(x: Matrix, *, tolerance: float = 2e-4) -> tuple[tuple[int, ...], ...]:
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

    Memory is one tile and the list of close pairs; time n^2 d up to 5,000 rows, about n log n + n d above, but for
    rows of which very many are alike: of more than 50,000 of them only the 16 nearest of each are looked at (in the few
    directions they spread most in), so that rows of one group are linked through one another, not each to each.

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
        near = _near_pairs(kept.sub_(_medians(kept)), tolerance)
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


def _near_pairs(rows: torch.Tensor, tolerance: float) -> npt.NDArray[np.int64]:
    """Index pairs ``[2, p]``, i < j, of distinct rows that are near-duplicates."""
    n = len(rows)
    norms = rows.square().sum(dim=1)
    chance = (100 * n * (n - 1) / 2) ** (-2 / _effective_columns(rows))
    limit = min(tolerance, chance) * 2 * float(norms.median())
    pairs = _neighbours_in_a_tree(rows, limit) if n > TREE_ROWS else None
    if pairs is None:
        pairs = _neighbours_in_tiles(rows, norms, limit)
    i, j = torch.from_numpy(pairs).to(rows.device)
    close = [
        ((rows[a] * rows[b]).sum(dim=1) > (1 - tolerance) * (norms[a] * norms[b]).sqrt())
        & ((rows[a] - rows[b]).square().sum(dim=1) < limit)
        for a, b in zip(i.split(PAIRS_AT_ONCE), j.split(PAIRS_AT_ONCE), strict=True)
    ]
    return pairs[:, torch.cat(close).cpu().numpy()]


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


def _neighbours_in_a_tree(rows: torch.Tensor, limit: float) -> npt.NDArray[np.int64] | None:
    """The same pairs and some more, without looking at all; None if they are too many, and the rows are few.

    Of very many rows with too many neighbours each has its nearest: they are linked through one another.
    """
    points, n, reach = _widest(rows), len(rows), math.sqrt(limit) * (1 + 1e-6)
    tree = KDTree(points)
    found, crowded = [], []
    for piece in np.split(np.arange(n), range(PAIRS_AT_ONCE, n, PAIRS_AT_ONCE)):
        _, near = tree.query(points[piece], k=NEAREST + 1, distance_upper_bound=reach, workers=-1)
        pairs = np.stack([np.repeat(piece, NEAREST + 1), near.ravel()])
        found.append(pairs[:, (pairs[1] < n) & (pairs[0] != pairs[1])])  # n is for "no more"
        crowded.append(piece[near[:, -1] < n])
    many = np.concatenate(crowded)
    within = tree.query_ball_point(points[many], reach, return_length=True, workers=-1).sum() if len(many) else 0
    if within <= TOO_MANY * n:
        for piece in np.split(many, range(PAIRS_AT_ONCE, len(many), PAIRS_AT_ONCE)):
            lists = tree.query_ball_point(points[piece], reach, workers=-1)
            pairs = np.stack([np.repeat(piece, [len(near) for near in lists]), np.concatenate([[], *lists])])
            found.append(pairs[:, pairs[0] < pairs[1]].astype(np.int64))
    elif n <= ALL_PAIRS_ROWS:
        return None
    return np.concatenate(found, axis=1)


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


def _components(n: int, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    links = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=(n, n))
    _, labels = connected_components(links, directed=False)
    members = np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels))[:-1])
    groups = [tuple(int(row) for row in rows) for rows in members if len(rows) > 1]
    return tuple(sorted(groups))
