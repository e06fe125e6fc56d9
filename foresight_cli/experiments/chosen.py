"""More on the one pair that the verdict is about, and the arrays its figures are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from foresight_cli.config import AnalyzeConfig
from foresight_cli.experiments import bridge, pairs
from foresight_cli.experiments.clusters import label_codes
from foresight_cli.experiments.representation import Representation
from foresight_cli.inference.bootstrap import spearman_interval
from foresight_cli.inference.mantel_within import mantel_within_label
from foresight_cli.metrics import mantel_test, procrustes_disparity, rsa
from foresight_cli.metrics.distances import RowDistances
from foresight_cli.metrics.neighbors import masked_squared, nearest_neighbors, ranks_of
from foresight_cli.results import Attribute, Category, ChosenPair, Estimate, LearningPoint, Neighborhood, Pair

STUDY_KS = (1, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class Scored:
    """The rows that are scored: what is known of each besides its latents."""

    labels: Sequence[str | None]
    groups: Sequence[str]
    attributes: dict[str, torch.Tensor]


def describe(
    index: int, pair: Pair, source: Representation, target: Representation, rows: Scored, config: AnalyzeConfig
) -> tuple[ChosenPair, Pair, dict[str, np.ndarray]]:
    """Everything that is measured on the chosen pair alone; the pair itself with intervals; and arrays."""
    seed = config.seed
    low, high = spearman_interval(source.distances, target.distances, rows.groups, seed=seed)
    probe = pairs.probe(source, target, rows.groups, config.folds, seed, predictions=True)
    neighborhoods = _neighborhoods(pair, source, target, seed)
    arrays = _arrays(source, target, rows, probe.predictions, seed)
    chosen = ChosenPair(
        index=index,
        pc_r2=[float(v) for v in probe.r2_per_component[:50]],
        kendall=_kendall(source, target, seed),
        mantel=_mantel(source, target, rows.groups, config),
        mantel_within_label=_mantel_within(source, target, rows.labels, config),
        procrustes=procrustes_disparity(source.rotated, target.rotated, components=100),
        categories=_categories(source, target, rows.labels, pair.neighborhood[0].k, seed),
        learning_curve=_curve(source, target, rows, config),
        attributes=_attributes(source, target, rows, config),
    )
    spearman = Estimate(pair.spearman.value, low, high, chance=0.0)
    return chosen, replace(pair, spearman=spearman, neighborhood=neighborhoods), arrays


def _curve(source: Representation, target: Representation, rows: Scored, config: AnalyzeConfig) -> list[LearningPoint]:
    return bridge.learning_curve(source, target, rows.groups, config.folds, config.seed)


def _attributes(source: Representation, target: Representation, rows: Scored, config: AnalyzeConfig) -> list[Attribute]:
    """Each attribute on the rows that have it; those with fewer than 50 values or a single one are left out."""
    found = []
    for name, column in rows.attributes.items():
        there = torch.isfinite(column).nonzero().flatten().tolist()
        if len(there) < 50 or float(column[there].std()) == 0:
            continue
        groups = [rows.groups[i] for i in there]
        if len(set(groups)) >= 2 * config.folds:
            found.append(
                bridge.attribute_retention(
                    source.rows(there), target.rows(there), name, column[there], groups, config.folds, config.seed
                )
            )
    return found


def _neighborhoods(pair: Pair, source: Representation, target: Representation, seed: int) -> list[Neighborhood]:
    n = len(source.values)
    main = pair.neighborhood[0]
    others = [k for k in STUDY_KS if k != main.k and k < n - 1]
    return [main, *(pairs.overlap(source, target, k, seed) for k in others)]


def _kendall(source: Representation, target: Representation, seed: int) -> float:
    n = min(len(source.values), 2000)
    some = np.sort(np.random.default_rng(seed).permutation(len(source.values))[:n])
    return rsa(source.rotated[some], target.rotated[some], correlation="kendall")


def _mantel(source: Representation, target: Representation, groups: Sequence[str], config: AnalyzeConfig) -> Estimate:
    test = mantel_test(
        source.rotated, target.rotated, permutations=config.permutations, groups=list(groups), seed=config.seed
    )
    return Estimate(test.statistic, chance=test.null_mean, p_value=test.p_value)


def _mantel_within(
    source: Representation, target: Representation, labels: Sequence[str | None], config: AnalyzeConfig
) -> Estimate | None:
    codes, names = label_codes(labels)
    if len(names) < 2 or (codes < 0).any() or np.bincount(codes).min() < 3:
        return None
    value, null, p = mantel_within_label(
        source.distances,
        target.distances,
        [names[c] for c in codes],
        permutations=config.permutations,
        seed=config.seed,
    )
    return Estimate(value, chance=null, p_value=p)


def _categories(
    source: Representation, target: Representation, labels: Sequence[str | None], k: int, seed: int
) -> list[Category]:
    codes, names = label_codes(labels)
    if len(names) < 2:
        return []
    shared = _shared_neighbors(source, target, k, seed)
    square = [_square(space) for space in (source, target)]
    found = []
    for code, name in enumerate(names):
        rows = np.flatnonzero(codes == code)
        i, j = np.triu_indices(len(rows), 1)
        distances = [s[rows[i], rows[j]] for s in square]
        enough = len(rows) >= 5 and all(float(d.std()) > 0 for d in distances)
        found.append(
            Category(
                label=name,
                rows=len(rows),
                recall=float(shared[rows].mean() / k),
                spearman=rsa(source.rotated[rows], target.rotated[rows]) if enough else None,
                source_distance=float(distances[0].mean()) if len(rows) > 1 else 0.0,
                target_distance=float(distances[1].mean()) if len(rows) > 1 else 0.0,
            )
        )
    return found


def _shared_neighbors(source: Representation, target: Representation, k: int, seed: int) -> np.ndarray:
    lists = _neighbor_lists(source, target, k, seed)
    return np.array([len(set(a) & set(b)) for a, b in zip(*(part.tolist() for part in lists), strict=True)])


def _neighbor_lists(source: Representation, target: Representation, k: int, seed: int) -> list[torch.Tensor]:
    rng = np.random.default_rng(seed)
    spaces = (RowDistances(s.rotated, "euclidean", s.name) for s in (source, target))
    return [nearest_neighbors(space, k, rng).indices for space in spaces]


def _square(space: Representation) -> torch.Tensor:
    n = len(space.values)
    i, j = torch.triu_indices(n, n, offset=1)
    square = torch.zeros(n, n, dtype=space.distances.dtype)
    square[i, j] = space.distances
    return square + square.T


def _arrays(
    source: Representation, target: Representation, rows: Scored, predicted: np.ndarray | None, seed: int
) -> dict[str, np.ndarray]:
    """What the figures of the chosen pair are drawn from; see :mod:`foresight_cli.results.arrays`."""
    n = len(source.values)
    rng = np.random.default_rng(seed)
    i, j = torch.triu_indices(n, n, offset=1).numpy()
    codes, names = label_codes(rows.labels)
    some = np.sort(rng.permutation(len(i))[:4000])
    arrays = {
        "rsa/source": source.distances[some].numpy(),
        "rsa/target": target.distances[some].numpy(),
        "rsa/same": ((codes[i] == codes[j]) & (codes[i] >= 0))[some],
        "rsa/ranks": _rank_grid(source, target),
        "neighborhood/ranks": _nearest_ranks(source, target, rng),
    }
    if predicted is not None:
        shift = target.rotated.mean(dim=0).numpy()
        arrays["probe/true"] = (target.rotated.numpy() - shift)[:, :4]
        arrays["probe/predicted"] = (predicted - shift)[:, :4]
    if len(names) >= 2:
        for side, space in (("source", source), ("target", target)):
            arrays[f"rsa/{side}_categories"] = _category_distances(space, codes, len(names))
    arrays |= _examples(source, target, codes, seed)
    kept = {name: a.astype(np.float32) if a.dtype.kind in "fb" else a.astype(np.int32) for name, a in arrays.items()}
    return {name: a for name, a in kept.items() if a.size}


def _rank_grid(source: Representation, target: Representation, cells: int = 40) -> np.ndarray:
    """Share of pairs by their distance's rank in both spaces; independent spaces give a flat grid."""
    ranks = [scores.argsort().argsort() * cells // len(scores) for scores in (source.ranks, target.ranks)]
    counts = torch.bincount(ranks[0] * cells + ranks[1], minlength=cells * cells).double()
    return (counts / counts.sum()).view(cells, cells).numpy()


def _nearest_ranks(source: Representation, target: Representation, rng: np.random.Generator) -> np.ndarray:
    """Rank in the target of each row's nearest neighbour in the source; 1 is best."""
    near = nearest_neighbors(RowDistances(source.rotated, "euclidean", source.name), 1, rng).indices
    space = RowDistances(target.rotated, "euclidean", target.name)
    rows = torch.arange(len(near)).split(512)
    ranks = [ranks_of(masked_squared(space, part), near[part], rng) for part in rows]
    return torch.cat(ranks).flatten().numpy()


def _category_distances(space: Representation, codes: np.ndarray, count: int) -> np.ndarray:
    square = _square(space).numpy()
    means = np.zeros((count, count))
    for a in range(count):
        for b in range(count):
            block = square[np.ix_(codes == a, codes == b)]
            pairs_in = block.size - (len(block) if a == b else 0)
            means[a, b] = block.sum() / pairs_in if pairs_in else 0.0
    return means


def _examples(source: Representation, target: Representation, codes: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Six queries, of different categories where there are any, with their five neighbours in each space, as rows."""
    n = len(codes)
    k = min(5, n - 2)
    order = np.random.default_rng(seed).permutation(n)
    seen: set[int] = set()
    first = [int(i) for i in order if codes[i] < 0 or (codes[i] not in seen and not seen.add(int(codes[i])))]  # type: ignore[func-returns-value]
    queries = np.array((first + [int(i) for i in order if int(i) not in first])[:6])
    lists = _neighbor_lists(source, target, k, seed)
    return {
        "neighborhood/query": queries,
        "neighborhood/source": lists[0][queries].numpy(),
        "neighborhood/target": lists[1][queries].numpy(),
    }
