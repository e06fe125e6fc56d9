"""What a linear bridge from source to target carries: attributes, and what more rows would bring."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from foresight_cli.experiments.representation import Representation
from foresight_cli.inference.bootstrap import ratio_interval
from foresight_cli.metrics import fit_ridge, grouped_folds
from foresight_cli.results import Attribute, Estimate, LearningPoint

CEILING = 0.3
"""An attribute that the true target itself may hold with less R2 than this says nothing about the bridge."""


def attribute_retention(
    source: Representation,
    target: Representation,
    name: str,
    values: torch.Tensor,
    groups: Sequence[str],
    folds: int,
    seed: int,
) -> Attribute:
    """Can ``name`` be read from the target as predicted from the source, by the probe of the true target?

    In each fold, on training rows: a bridge source -> target, a probe source -> attribute, a probe target -> attribute;
    on test rows each is scored, and the target's probe is applied to the bridge's prediction.

    Args:
        source: of the bridge.
        target: of the bridge.
        name: of the attribute.
        values: ``[n]``, finite.
        groups: of the rows.
        folds: of the cross-validation, by group.
        seed: of the folds.
    """
    wanted = values.double()[:, None]
    residuals: dict[str, list[np.ndarray]] = {"source": [], "target": [], "bridge": []}
    totals, rows = [], []
    for train, test in grouped_folds(list(groups), folds, seed):
        bridge = fit_ridge(source.values[train], target.rotated[train])
        from_source = fit_ridge(source.values[train], wanted[train])
        from_target = fit_ridge(target.rotated[train], wanted[train], standardize=False)
        carried = bridge.predict(source.values[test])
        predicted = {
            "source": from_source.predict(source.values[test]),
            "target": from_target.predict(target.rotated[test]),
            "bridge": from_target.predict(carried),
        }
        for key, value in predicted.items():
            residuals[key].append((wanted[test] - value).square().flatten().numpy())
        totals.append((wanted[test] - wanted[train].mean()).square().flatten().numpy())
        rows.append(test)
    total = np.concatenate(totals)
    joined = {key: np.concatenate(parts) for key, parts in residuals.items()}
    scores = {key: float(1 - part.sum() / total.sum()) for key, part in joined.items()}
    retention = None
    tested = [groups[i] for i in np.concatenate(rows)]
    if ratio_interval(joined["target"], np.zeros_like(total), total, tested, seed=seed)[0] >= CEILING:
        low, high = ratio_interval(joined["bridge"], joined["target"], total, tested, seed=seed)
        retention = Estimate(scores["bridge"] / scores["target"], low, high, chance=0.0)
    return Attribute(name, scores["source"], scores["target"], scores["bridge"], retention)


def learning_curve(
    source: Representation, target: Representation, groups: Sequence[str], folds: int, seed: int
) -> list[LearningPoint]:
    """Held-out R2 of the ridge bridge with an eighth, a quarter, a half and all of the training groups."""
    rng = np.random.default_rng(seed)
    splits = []
    for train, test in grouped_folds(list(groups), folds, seed):
        names = sorted({groups[i] for i in train})
        splits.append((train, test, [names[i] for i in rng.permutation(len(names))]))
    points = []
    for share in (1 / 8, 1 / 4, 1 / 2, 1.0):
        sums = np.zeros(4)
        counts = []
        for train, test, order in splits:
            kept = set(order[: max(3, round(share * len(order)))])
            some = [i for i in train if groups[i] in kept]
            counts.append(len(some))
            sums += _squares(source, target, some, test)
        if min(counts) >= 10:
            points.append(LearningPoint(round(float(np.mean(counts))), 1 - sums[0] / sums[1], 1 - sums[2] / sums[3]))
    return points


def _squares(source: Representation, target: Representation, train: Sequence[int], test: np.ndarray) -> np.ndarray:
    """Squared residual and squared distance from the training mean, on test rows and on training rows."""
    x, y = source.values, target.rotated
    ridge = fit_ridge(x[train], y[train])
    mean = y[train].mean(dim=0)
    return np.array(
        [
            float((y[test] - ridge.predict(x[test])).square().sum()),
            float((y[test] - mean).square().sum()),
            float((y[train] - ridge.predict(x[train])).square().sum()),
            float((y[train] - mean).square().sum()),
        ]
    )
