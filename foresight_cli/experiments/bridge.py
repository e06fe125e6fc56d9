"""Measures of the linear bridge from source to target: attributes, learning curve, typical and unseen samples."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from foresight_cli.experiments.categories import COMPONENTS, ROWS_PER_CLUSTER, clusters
from foresight_cli.inference.bootstrap import ratio_bounds
from foresight_cli.inputs.representation import Representation
from foresight_cli.metrics.folds import Fold
from foresight_cli.metrics.probe import LinearProbe, linear_probe
from foresight_cli.metrics.ridge.ridge import PENALTIES, RidgeFactor
from foresight_cli.metrics.validation import centre
from foresight_cli.results import CURVE_SIZES, Attribute, Estimate, LearningPoint

LEAST_TRAINING = 10
"""A fold in which fewer training rows have an attribute is skipped."""
FLAT, BENT = 0.01, 0.8
"""If its last step is below ``FLAT``, a learning curve has levelled off; above ``BENT`` of the step before, it is not
yet bending."""
NEIGHBORHOODS_PER_FOLD = 2
"""With fewer neighbourhoods for each fold, they are not held out."""
SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)


def attribute_retention(
    carried: torch.Tensor,
    source: Representation,
    target: Representation,
    attributes: dict[str, torch.Tensor],
    groups: Sequence[str],
    folds: Sequence[Fold],
    *,
    ceiling: float,
    seed: int,
) -> list[Attribute]:
    """Measure how well the probe of the true target reads each attribute from the target predicted from the source.

    In each fold, two probes are fitted on training rows: source -> attribute and target -> attribute. On test rows each
    is scored, and the target's probe is also applied to the prediction of the bridge. An attribute for which no fold
    has enough rows is left out.

    Args:
        carried: the held-out prediction of the target's principal coordinates ``[n, r]``, NaN in rows never tested.
        source: of the bridge.
        target: of the bridge.
        attributes: ``[n]`` by name, NaN where a sample has none.
        groups: of the rows.
        folds: those that ``carried`` was predicted in.
        ceiling: least lower bound of R2 from the true target; below it the bridge is not judged on the attribute.
        seed: of the resampling.
    """
    scored: dict[str, list[dict[str, np.ndarray]]] = {name: [] for name in attributes}
    for train, test in folds:
        has_value = {name: torch.isfinite(column) for name, column in attributes.items()}
        for rows in _same_rows(has_value, train):
            kept = torch.from_numpy(train)[has_value[rows[0]][train]]
            if len(kept) < LEAST_TRAINING:
                continue
            probes = [RidgeFactor(source.values[kept], standardize=True)]
            probes.append(RidgeFactor(target.rotated[kept], standardize=False))
            for name in rows:
                tested = torch.from_numpy(test)[has_value[name][test]]
                spaces = (source.values[tested], target.rotated[tested], carried[tested])
                scored[name].append(_score(probes, spaces, attributes[name].double(), kept, tested))
    return [retained(name, parts, groups, ceiling, len(folds), seed) for name, parts in scored.items() if parts]


def learning_curve(
    whole: LinearProbe,
    source: Representation,
    target: Representation,
    groups: Sequence[str],
    folds: Sequence[Fold],
    seed: int,
) -> list[LearningPoint]:
    """Return the held-out R2 of the ridge bridge with 1/8, 1/4, 1/2 and all of the training groups.

    ``whole`` is the probe with all of them, in the same folds.
    """
    rng = np.random.default_rng(seed)
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    orders = [rng.permutation(np.unique(codes[train])) for train, _ in folds]
    points = []
    for share in SHARES:
        fewer = []
        for (train, test), order in zip(folds, orders, strict=True):
            kept = order[: max(3, round(share * len(order)))]
            fewer.append((train[np.isin(codes[train], kept)], test))
        sizes = [len(train) for train, _ in fewer]
        if min(sizes) >= 10:
            every = share == 1
            probe = whole if every else linear_probe(source.space, target.space, groups=codes, folds=fewer)
            points.append(LearningPoint(round(float(np.mean(sizes))), probe.r2, probe.r2_train))
    return points


def hopeful_limit(points: Sequence[LearningPoint]) -> float | None:
    """Return the highest R2 to expect from unlimited rows, if the rest shrinks as 1/sqrt(n); None if unknown.

    Errors of estimation shrink as 1/n once n is large, and slower before: extrapolating the two largest sizes by the
    slower law gives too much rather than too little. A falling curve is taken to end at its last value. The end of a
    curve that is not yet bending (its last step is nearly as high as the one before) is unknown.
    """
    if len(points) < CURVE_SIZES:
        return None
    first, fewer, all_rows = points[-3:]
    last_step, step_before = all_rows.r2 - fewer.r2, fewer.r2 - first.r2
    if last_step > FLAT and last_step > BENT * step_before:
        return None
    steps = math.sqrt(all_rows.rows / fewer.rows)
    return all_rows.r2 + max(0.0, (all_rows.r2 - fewer.r2) / (steps - 1))


def typical(probe: LinearProbe, target: Representation, groups: Sequence[str]) -> Estimate:
    """Return the median over groups of the R2 of each tested sample, measured against the median of the samples.

    A few outliers (blank frames, broken files) can hold most of the variance, and so alone produce a high R2: the
    median sample then has none. The interval is that of a median, by order statistics.
    """
    coordinates = target.rotated.numpy()
    total = np.square(coordinates[probe.tested] - np.median(coordinates, axis=0)).sum(axis=1)
    own = 1 - probe.residual / np.maximum(total, 1e-300)
    codes = np.unique([groups[i] for i in probe.tested.tolist()], return_inverse=True)[1]
    values = np.sort(np.maximum(np.bincount(codes, weights=np.maximum(own, -1)) / np.bincount(codes), -1))
    g = len(values)

    def at(quantile: float) -> float:
        position = (g - 1) / 2 + quantile * math.sqrt(g) / 2
        return float(values[int(np.clip(round(position), 0, g - 1))])

    return Estimate(float(np.median(values)), at(-1.96), at(1.96), 0.0, None, at(-1.645), at(2.128))


def groups_for_neighborhoods(folds: int) -> int:
    """Return the number of groups below which :func:`unseen_neighborhoods` has too few neighbourhoods."""
    return NEIGHBORHOODS_PER_FOLD * folds * ROWS_PER_CLUSTER


def unseen_neighborhoods(
    source: Representation, target: Representation, groups: Sequence[str], folds: int, seed: int
) -> Estimate | None:
    """Return the held-out R2 when whole neighbourhoods of both spaces are held out; None with too few of them.

    Inputs that repeat in undeclared groups (frames, crops, many pictures of one thing) are close together in both
    spaces. Held out one by one, they are predicted from each other; held out together, only by what all samples share.
    """
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    first = np.unique(codes, return_index=True)[1]
    scaled = [space.rotated[first] / space.rotated.square().sum().sqrt() for space in (source, target)]
    row_clusters = clusters(torch.cat([part[:, :COMPONENTS] for part in scaled], dim=1), seed)
    if len(np.unique(row_clusters)) < NEIGHBORHOODS_PER_FOLD * folds:
        return None
    neighborhoods = row_clusters[codes]
    probe = linear_probe(source.space, target.space, groups=neighborhoods, folds=folds, seed=seed)
    return Estimate.of(probe.r2, probe.r2_standard_error, chance=0.0)


def _same_rows(has_value: dict[str, torch.Tensor], train: np.ndarray) -> list[list[str]]:
    """Group the names of attributes with values on the same training rows: they share one decomposition."""
    together: dict[bytes, list[str]] = {}
    for name, rows in has_value.items():
        together.setdefault(rows[train].numpy().tobytes(), []).append(name)
    return list(together.values())


def _score(
    probes: Sequence[RidgeFactor],
    spaces: Sequence[torch.Tensor],
    values: torch.Tensor,
    train: torch.Tensor,
    test: torch.Tensor,
) -> dict[str, np.ndarray]:
    wanted = values[train][:, None]
    mean, targets = wanted.mean(), centre(wanted)
    penalties = [probe.best_penalty(targets, PENALTIES)[0] for probe in probes]
    truth = values[test] - mean
    residuals = {"total": truth.square().numpy(), "rows": test.numpy()}
    for key, i, rows in zip(("source", "target", "bridge"), (0, 1, 1), spaces, strict=True):
        predicted = probes[i].predict(probes[i].project(rows), targets, penalties[i])
        residuals[key] = (truth - predicted.flatten()).square().numpy()
    return residuals


def retained(
    name: str, parts: Sequence[dict[str, np.ndarray]], groups: Sequence[str], ceiling: float, folds: int, seed: int
) -> Attribute:
    """Return an attribute with its retention, from squared errors of its probes on held-out rows.

    Args:
        name: of the attribute.
        parts: squared errors of each fold: ``source``, ``target``, ``bridge`` by what the probe read, ``total`` about
            the training mean; and ``rows``, indices into ``groups``.
        groups: of the rows.
        ceiling: least lower bound of R2 from the true target for a retention.
        folds: number of folds.
        seed: of the resampling.
    """
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    total, tested = joined["total"], [groups[i] for i in joined["rows"]]
    scores = {key: float(1 - joined[key].sum() / total.sum()) for key in ("source", "target", "bridge")}
    nothing = np.zeros_like(total)
    retention = None
    least = ratio_bounds(joined["target"], nothing, total, tested, folds=folds, seed=seed).lower
    if least >= ceiling:
        kept = ratio_bounds(joined["bridge"], joined["target"], total, tested, folds=folds, seed=seed)
        retention = Estimate(kept.value, kept.low, kept.high, 0.0, None, kept.lower, kept.upper)
    return Attribute(name, scores["source"], scores["target"], scores["bridge"], retention, least)
