"""What a linear bridge from source to target carries: attributes, and what more rows would bring."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from foresight_cli.experiments.representation import Representation
from foresight_cli.inference.bootstrap import ratio_bounds
from foresight_cli.metrics.folds import Fold
from foresight_cli.metrics.probe import LinearProbe, linear_probe
from foresight_cli.metrics.ridge import PENALTIES, RidgeFactor
from foresight_cli.metrics.validation import centre
from foresight_cli.results import Attribute, Estimate, LearningPoint

LEAST_TRAINING = 10
"""A fold in which fewer training rows have an attribute is passed over."""
FARTHEST = 0.1
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

    In each fold, on training rows: a probe source -> attribute and a probe target -> attribute; on test rows each is
    scored, and the target's probe is applied to what the bridge carried over.

    Args:
        carried: the held-out prediction of the target's principal coordinates ``[n, r]``, NaN in rows never tested.
        source: of the bridge.
        target: of the bridge.
        attributes: ``[n]`` by name, NaN where a sample has none.
        groups: of the rows.
        folds: those that ``carried`` was predicted in.
        ceiling: R2 that the true target itself must hold of an attribute; below, it says nothing about the bridge.
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
    return [_attribute(name, parts, groups, ceiling, len(folds), seed) for name, parts in scored.items()]


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
    slower law, end above the truth rather than below. A curve that falls ends where it is.
    """
    if len(points) < 2:
        return None
    fewer, all_rows = points[-2], points[-1]
    steps = math.sqrt(all_rows.rows / fewer.rows)
    return all_rows.r2 + max(0.0, (all_rows.r2 - fewer.r2) / (steps - 1))


def without_farthest(probe: LinearProbe, target: Representation, groups: Sequence[str]) -> Estimate:
    """R2 on the tested samples but the tenth that lie farthest from the mean, against the mean of those kept.

    A few samples far out (blank frames, broken files) can carry a whole R2: most of the variance is theirs.
    """
    kept = probe.total <= np.quantile(probe.total, 1 - FARTHEST)
    rows = torch.from_numpy(probe.tested[kept])
    truth = target.rotated[rows]
    total = (truth - truth.mean(dim=0)).square().sum(dim=1).numpy()
    residual = probe.residual[kept]
    tested = [groups[i] for i in rows.tolist()]
    found = ratio_bounds(residual, np.zeros_like(total), total, tested)
    return Estimate(found.value, found.low, found.high, 0.0, None, found.lower, found.upper)


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


def _attribute(
    name: str, parts: Sequence[dict[str, np.ndarray]], groups: Sequence[str], ceiling: float, folds: int, seed: int
) -> Attribute:
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    total, tested = joined["total"], [groups[i] for i in joined["rows"]]
    scores = {key: float(1 - joined[key].sum() / total.sum()) for key in ("source", "target", "bridge")}
    nothing = np.zeros_like(total)
    retention = None
    if ratio_bounds(joined["target"], nothing, total, tested, folds=folds, seed=seed).lower >= ceiling:
        kept = ratio_bounds(joined["bridge"], joined["target"], total, tested, folds=folds, seed=seed)
        retention = Estimate(kept.value, kept.low, kept.high, 0.0, None, kept.lower, kept.upper)
    return Attribute(name, scores["source"], scores["target"], scores["bridge"], retention)
