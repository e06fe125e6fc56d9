"""What a linear bridge from source to target carries: attributes, and what more rows would bring."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from foresight_cli.experiments.categories import COMPONENTS, clusters
from foresight_cli.experiments.representation import Representation
from foresight_cli.inference.bootstrap import ratio_bounds
from foresight_cli.metrics.folds import Fold
from foresight_cli.metrics.probe import LinearProbe, linear_probe
from foresight_cli.metrics.ridge import PENALTIES, RidgeFactor
from foresight_cli.metrics.validation import centre
from foresight_cli.results import CURVE_SIZES, Attribute, Estimate, LearningPoint

LEAST_TRAINING = 10
"""A fold in which fewer training rows have an attribute is passed over."""
FLAT, BENT = 0.01, 0.8
"""A last step of the learning curve below ``FLAT`` is none; one above ``BENT`` of the step before is no bend."""
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
    """Can each attribute be read from the target as predicted from the source, by the probe of the true target?

    One that no fold has enough rows of is left out.

    In each fold, on training rows: a probe source -> attribute and a probe target -> attribute; on test rows each is
    scored, and the target's probe is applied to what the bridge carried over.

    Args:
        carried: the held-out prediction of the target's principal coordinates ``[n, r]``, NaN in rows never tested.
        source: of the bridge.
        target: of the bridge.
        attributes: ``[n]`` by name, NaN where a sample has none.
        groups: of the rows.
        folds: those that ``carried`` was predicted in.
        ceiling: the lower bound of R2 from the true target must reach it, or nothing is said about the bridge.
        seed: of the resampling.
    """
    scored: dict[str, list[dict[str, np.ndarray]]] = {name: [] for name in attributes}
    for train, test in folds:
        known = {name: torch.isfinite(column) for name, column in attributes.items()}
        for rows in _same_rows(known, train):
            kept = torch.from_numpy(train)[known[rows[0]][train]]
            if len(kept) < LEAST_TRAINING:
                continue
            probes = [RidgeFactor(source.values[kept], standardize=True)]
            probes.append(RidgeFactor(target.rotated[kept], standardize=False))
            for name in rows:
                asked = torch.from_numpy(test)[known[name][test]]
                spaces = (source.values[asked], target.rotated[asked], carried[asked])
                scored[name].append(_score(probes, spaces, attributes[name].double(), kept, asked))
    return [retained(name, parts, groups, ceiling, len(folds), seed) for name, parts in scored.items() if parts]


def learning_curve(
    whole: LinearProbe,
    source: Representation,
    target: Representation,
    groups: Sequence[str],
    folds: Sequence[Fold],
    seed: int,
) -> list[LearningPoint]:
    """Held-out R2 of the ridge bridge with an eighth, a quarter, a half and all of the training groups.

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
    """R2 with rows without end, if what is missing shrinks only as one over their root: as much as may be hoped for.

    Errors of estimation shrink as 1/n once n is large, and slower before: the two largest sizes, continued with the
    slower law, end above the truth rather than below. A curve that falls ends where it is; of one that has not begun to
    bend (its last step is nearly as high as the one before) the end is unknown: None.
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
    """The median over groups of each tested sample's own R2, against the centre that half of the samples agree on.

    A few samples far out (blank frames, broken files) can carry a whole R2, which most of the variance is: the median
    sample then has none. The interval is that of a median, by order statistics.
    """
    coordinates = target.rotated.numpy()
    total = np.square(coordinates[probe.tested] - np.median(coordinates, axis=0)).sum(axis=1)
    own = 1 - probe.residual / np.maximum(total, 1e-300)
    codes = np.unique([groups[i] for i in probe.tested.tolist()], return_inverse=True)[1]
    values = np.sort(np.maximum(np.bincount(codes, weights=np.maximum(own, -1)) / np.bincount(codes), -1))
    g = len(values)

    def at(quantile: float) -> float:
        place = (g - 1) / 2 + quantile * math.sqrt(g) / 2
        return float(values[int(np.clip(round(place), 0, g - 1))])

    return Estimate(float(np.median(values)), at(-1.96), at(1.96), 0.0, None, at(-1.645), at(2.128))


def unseen_neighborhoods(
    source: Representation, target: Representation, groups: Sequence[str], folds: int, seed: int
) -> Estimate | None:
    """Held-out R2 where whole neighbourhoods of both spaces are held out, and not samples; None with too few of them.

    Inputs that repeat without anybody saying so (frames, crops, many pictures of one thing) lie close together in both
    spaces. Held out one by one they are predicted from each other; held out together, only what all samples share is.
    """
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    first = np.unique(codes, return_index=True)[1]
    scaled = [space.rotated[first] / space.rotated.square().sum().sqrt() for space in (source, target)]
    found = clusters(torch.cat([part[:, :COMPONENTS] for part in scaled], dim=1), seed)
    if len(np.unique(found)) < 2 * folds:
        return None
    neighborhoods = found[codes]
    probe = linear_probe(source.space, target.space, groups=neighborhoods, folds=folds, seed=seed)
    return Estimate.of(probe.r2, probe.r2_standard_error, chance=0.0)


def _same_rows(known: dict[str, torch.Tensor], train: np.ndarray) -> list[list[str]]:
    """Names of attributes known of the same training rows: they share one decomposition."""
    together: dict[bytes, list[str]] = {}
    for name, rows in known.items():
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
    """What is left of an attribute, from squared errors of its probes on the held-out rows of each fold.

    Args:
        name: of the attribute.
        parts: of each fold, by what the probe read: ``source``, ``target``, ``bridge``; ``total`` about the training
            mean, and ``rows``, indices into ``groups``.
        groups: of the rows.
        ceiling: the lower bound of R2 from the true target must reach it for a retention.
        folds: how many there were.
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
