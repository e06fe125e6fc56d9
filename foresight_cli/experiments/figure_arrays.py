"""Arrays that only figures need; :mod:`foresight_cli.results.arrays` has their names.

They are made after the results, and one that fails does not stop the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch

from foresight_cli.data import Dataset
from foresight_cli.errors import first_line
from foresight_cli.experiments.assessment import Assessment
from foresight_cli.experiments.clusters import label_codes, tsne
from foresight_cli.experiments.spaces import mapped
from foresight_cli.inputs.representation import Representation
from foresight_cli.inputs.thumbnails import NAMES, duplicate_thumbnails, with_thumbnails
from foresight_cli.metrics.distances import squareform
from foresight_cli.metrics.neighbors import masked_squared, nearest_neighbors, ranks_of
from foresight_cli.results.arrays import stored

log = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]
_EXAMPLES = 6


def figure_arrays(
    assessment: Assessment, dataset: Dataset | None, alike: Sequence[Sequence[str]], seed: int
) -> tuple[Arrays, list[str]]:
    """Return the arrays for the figures, and a line for each figure whose arrays could not be made.

    Args:
        assessment: measures and verdict.
        dataset: the pictures; None if they are not available.
        alike: sets of ids of samples that are alike.
        seed: of the random examples.
    """
    arrays: Arrays = {}
    failures = []
    for name, make in _parts(assessment, dataset, alike, seed):
        try:
            arrays |= make()
        except Exception as error:  # of any kind: the results are valid without the figure
            failures.append(f"figure {name} could not be drawn: {first_line(error)}")
            log.warning("warning: %s", failures[-1])
    try:
        arrays = with_thumbnails(arrays, assessment.scored.independent.ids, dataset)
    except Exception as error:
        failures.append(f"figure neighborhood_examples could not be drawn: {first_line(error)}")
        log.warning("warning: %s", failures[-1])
        arrays = {name: array for name, array in arrays.items() if name not in NAMES}
    return arrays, failures


def _parts(
    assessment: Assessment, dataset: Dataset | None, alike: Sequence[Sequence[str]], seed: int
) -> Iterator[tuple[str, Callable[[], Arrays]]]:
    source, target = assessment.chosen
    labels, predicted = assessment.scored.independent.labels, assessment.probe.carried.numpy()
    pair = f"of {source.name} -> {target.name}"
    yield "duplicates", partial(duplicate_thumbnails, alike, dataset)
    yield f"semantic_sim {pair}", partial(_of_pair, source, target, labels, predicted, seed)
    spaces = [*assessment.sources, *assessment.targets]
    for i in mapped(spaces):
        yield f"tsne of {spaces[i].name}", partial(_map, i, spaces[i], seed)


def _map(index: int, space: Representation, seed: int) -> Arrays:
    return {f"tsne/{index}": tsne(space, seed)}


def _of_pair(
    source: Representation,
    target: Representation,
    labels: Sequence[str | None],
    predicted: np.ndarray | None,
    seed: int,
) -> dict[str, np.ndarray]:
    """Return the arrays of the chosen pair: on one row of each group, but predictions on every row.

    Args:
        source: on the scored rows.
        target: on the scored rows.
        labels: of one row of each group.
        predicted: held-out predictions of the target ``[n, d]``, in its principal axes.
        seed: of the random examples.
    """
    x, y = source.independent, target.independent
    n = len(x.values)
    rng = np.random.default_rng(seed)
    codes, names = label_codes(labels)
    sampled = np.sort(rng.permutation(n * (n - 1) // 2)[:4000])
    i, j = _rows_of_pairs(sampled, n)
    arrays = {
        "rsa/source": x.distances[sampled].numpy(),
        "rsa/target": y.distances[sampled].numpy(),
        "rsa/same": (codes[i] == codes[j]) & (codes[i] >= 0),
        "rsa/ranks": _rank_grid(x, y),
        "neighborhood/ranks": _nearest_ranks(x, y, rng),
    }
    if predicted is not None:
        shift = target.rotated.mean(dim=0).numpy()
        arrays["probe/true"] = (target.rotated.numpy() - shift)[:, :4]
        arrays["probe/predicted"] = (predicted - shift)[:, :4]
    if len(names) >= 2:
        for side, space in (("source", x), ("target", y)):
            arrays[f"rsa/{side}_categories"] = _category_distances(space, codes, len(names))
    arrays |= _examples(x, y, codes, seed)
    return {name: stored(array) for name, array in arrays.items() if array.size}


def neighbor_lists(source: Representation, target: Representation, k: int, seed: int) -> list[torch.Tensor]:
    """Return the k nearest neighbours ``[n, k]`` of every row, in each space."""
    rng = np.random.default_rng(seed)
    return [nearest_neighbors(side.space.distances(), k, rng).indices.cpu() for side in (source, target)]


def square_distances(space: Representation) -> torch.Tensor:
    """Return the distances of ``space`` as a square ``[n, n]``."""
    return squareform(space.distances, len(space.values))


def _rank_grid(source: Representation, target: Representation, cells: int = 40) -> np.ndarray:
    """Return the share of pairs by the rank of their distance in both spaces; independent spaces give a flat grid."""
    cell = sum(size * _cell_of(side.ranks, cells) for side, size in ((source, cells), (target, 1)))
    assert isinstance(cell, torch.Tensor)
    counts = torch.bincount(cell, minlength=cells * cells).double()
    return (counts / counts.sum()).view(cells, cells).numpy()


def _cell_of(scores: torch.Tensor, cells: int) -> torch.Tensor:
    """Return the cell ``[p]`` of each pair, of ``cells`` with equally many pairs; ties are in their middle cell."""
    first = torch.arange(1, cells) * len(scores) // cells
    limits = torch.from_numpy(np.partition(scores.numpy(), first.numpy()))[first]
    lowest, highest = (torch.bucketize(scores, limits, out_int32=True, right=right) for right in (False, True))
    return lowest.add_(highest).div_(2, rounding_mode="floor")


def _rows_of_pairs(pairs: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return both rows i < j of pairs by their number among all ``n (n - 1) / 2``, as in ``torch.triu_indices``."""
    rows = np.arange(n)
    first = rows * n - rows * (rows + 1) // 2  # the number of the pair (i, i + 1)
    i = np.searchsorted(first[:-1], pairs, side="right") - 1
    return i, pairs - first[i] + i + 1


def _nearest_ranks(source: Representation, target: Representation, rng: np.random.Generator) -> np.ndarray:
    """Return the rank in the target of each row's nearest neighbour in the source; 1 is best."""
    near = nearest_neighbors(source.space.distances(), 1, rng).indices
    space = target.space.distances()
    rows = torch.arange(len(near), device=near.device).split(512)
    ranks = [ranks_of(masked_squared(space, part), near[part], rng) for part in rows]
    return torch.cat(ranks).flatten().cpu().numpy()


def _category_distances(space: Representation, codes: np.ndarray, count: int) -> np.ndarray:
    square = square_distances(space).numpy()
    means = np.zeros((count, count))
    for a in range(count):
        for b in range(count):
            block = square[np.ix_(codes == a, codes == b)]
            pairs_in = block.size - (len(block) if a == b else 0)
            means[a, b] = block.sum() / pairs_in if pairs_in else 0.0
    return means


def _examples(source: Representation, target: Representation, codes: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return six queries, of different categories if possible, with their five neighbours in each space, as rows."""
    k = min(5, len(codes) - 2)
    queries = np.array(_one_of_each_first(codes, seed)[:_EXAMPLES])
    lists = neighbor_lists(source, target, k, seed)
    return {
        "neighborhood/query": queries,
        "neighborhood/source": lists[0][queries].numpy(),
        "neighborhood/target": lists[1][queries].numpy(),
    }


def _one_of_each_first(codes: np.ndarray, seed: int) -> list[int]:
    """Return all rows in a seeded order, with one row of each category before any second one."""
    order = np.random.default_rng(seed).permutation(len(codes)).tolist()
    first: dict[int, int] = {}
    for row in order:
        first.setdefault(int(codes[row]), row)
    firsts = list(first.values())
    return firsts + [row for row in order if row not in firsts]
