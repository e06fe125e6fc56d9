"""The linear probe: the share of one space that a ridge map predicts from another, on held-out rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.folds import Fold, grouped_folds
from foresight_cli.metrics.ridge.ridge import REACH, RidgeFactor, check_penalties
from foresight_cli.metrics.ridge.solver import KernelRidge
from foresight_cli.metrics.space import Space, SpaceLike, as_spaces
from foresight_cli.metrics.validation import Labels, as_codes, centre, column_means

Floats = npt.NDArray[np.float64]

# Residuals are not independent across folds: the plain bootstrap gave .0117 where the true spread was .0147.
SHARED_FIT = math.sqrt(1.6)


@dataclass(frozen=True)
class LinearProbe:
    """Held-out quality of a ridge map.

    Attributes:
        r2: 1 - sum |y - yhat|^2 / sum |y - train mean|^2, pooled over all tested rows and columns.
        cosine: mean cosine of yhat and y, both minus the train mean; it counts as 0 where either is exactly that mean.
        r2_standard_error: the larger of two errors: Nadeau-Bengio's over folds, and the group bootstrap's times
            sqrt(1.6); for a single split, the group bootstrap's on its test rows.
        r2_interval: r2 -/+ 1.96 standard errors.
        r2_per_fold: r2 within each fold.
        r2_per_component: r2 of each principal component of y, the largest first: if it falls fast, only the coarsest
            directions are predicted.
        r2_train: r2 on the training rows, mean over folds: if it is far above ``r2``, the map has overfitted.
        penalties: lambda chosen in each fold.
        tested: numbers of the tested rows, fold by fold ``[t]``.
        residual: squared error of each tested row ``[t]``.
        total: squared distance of each tested row from the train mean ``[t]``.
        carried: held-out predictions in y's principal coordinates ``[n, r]``, on the CPU, NaN in rows never tested.
        predictions: the same in y's columns ``[n, d2]``; None unless requested.
    """

    r2: float
    cosine: float
    r2_standard_error: float
    r2_interval: tuple[float, float]
    r2_per_fold: tuple[float, ...]
    r2_per_component: tuple[float, ...] = field(repr=False)
    r2_train: float
    penalties: tuple[float, ...] = field(repr=False)
    tested: npt.NDArray[np.int64] = field(repr=False, compare=False)
    residual: Floats = field(repr=False, compare=False)
    total: Floats = field(repr=False, compare=False)
    carried: torch.Tensor = field(repr=False, compare=False)
    predictions: Floats | None = field(repr=False, compare=False)


def linear_probe(
    x: SpaceLike,
    y: SpaceLike,
    *,
    groups: Labels | None = None,
    folds: int | Sequence[Fold] = 5,
    seed: int = 0,
    standardize: bool = True,
    penalties: Sequence[float] | None = None,
    reach: float = REACH,
    predictions: bool = False,
) -> LinearProbe:
    """Cross-validated ridge regression from the source ``x [n, d1]`` to the target ``y [n, d2]``.

    In each fold the columns of x are centred and scaled on the training rows, and one penalty for all outputs is chosen
    on them by exact leave-one-out (`fit_ridge`). Constant columns of x are ignored; if all are constant, the prediction
    is the train mean, with r2 near 0 and cosine 0. Constant columns of y add nothing to either sum.

    Args:
        x: source rows.
        y: target rows.
        groups: rows of one group are never on both sides of a split: give clips, duplicates, views of one object.
        folds: number of folds over groups, or the folds themselves as (train rows, test rows).
        seed: seed of the folds.
        standardize: divide the columns of x by their standard deviation over the training rows.
        penalties: multiples of the mean eigenvalue to choose from; default logspace(-3, 3, 13).
        reach: held-out values are cut at this multiple of the farthest training value; infinity for textbook ridge.
        predictions: keep the held-out predictions.

    Raises:
        ForesightError: a matrix is invalid, y is constant, groups are missing or fewer than folds, or a training part
            has fewer than 3 rows.

    Source: Nadeau and Bengio 2003 for the variance over folds, with (1/K + n_test/n_train). The group bootstrap is
    taken in its limit of infinitely many resamples (the delta method).

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> x = rng.standard_normal((200, 10))
        >>> probe = linear_probe(x, x @ rng.standard_normal((10, 4)) + rng.standard_normal((200, 4)))
        >>> round(probe.r2, 2), round(probe.cosine, 2)
        (0.93, 0.94)
    """
    (probe,) = linear_probes(
        x,
        [y],
        groups=groups,
        folds=folds,
        seed=seed,
        standardize=standardize,
        penalties=penalties,
        reach=reach,
        predictions=predictions,
    )
    return probe


def linear_probes(
    x: SpaceLike,
    targets: Sequence[SpaceLike],
    *,
    groups: Labels | None = None,
    folds: int | Sequence[Fold] = 5,
    seed: int = 0,
    standardize: bool = True,
    penalties: Sequence[float] | None = None,
    reach: float = REACH,
    predictions: bool = False,
) -> list[LinearProbe]:
    """Return `linear_probe` of one source ``x [n, d1]`` for several targets: each fold of x is decomposed once for all.

    Raises:
        ForesightError: as for `linear_probe`.
    """
    pairs = [as_spaces(x, y, measure="linear_probe", min_rows=4) for y in targets]
    source, n = pairs[0][0], len(pairs[0][0])
    codes = np.arange(n) if groups is None else as_codes(groups, n, "groups")
    splits = grouped_folds(codes, folds, seed) if isinstance(folds, int) else _check_folds(folds, n)
    multiples = check_penalties(penalties)
    spaces = [y.varying("y", measure="linear_probe") for _, y in pairs]
    fits: list[list[_Fit]] = [[] for _ in spaces]
    # Where columns are neither scaled nor cut, the Gram matrix of all rows contains that of every fold.
    shared = source.wide and not standardize and math.isinf(reach)
    factor: RidgeFactor | KernelRidge
    for split in splits:
        train, test = (_index(rows, source) for rows in split)
        if shared:
            factor = KernelRidge(source.gram, train)
            projected = factor.project(test)
        else:
            factor = RidgeFactor(source.values[train], standardize=standardize, reach=reach)
            projected = factor.project(source.values[test])
        for y, parts in zip(spaces, fits, strict=True):
            parts.append(_test(factor, projected, y.coordinates, split, multiples))
    return [_probe(y, parts, splits, codes, predictions) for y, parts in zip(spaces, fits, strict=True)]


def _probe(
    y: Space, fits: Sequence[_Fit], splits: Sequence[Fold], codes: npt.NDArray[np.int64], predictions: bool
) -> LinearProbe:
    sums = _Sums.of(fits)
    by_group = group_error(sums.residual - (1 - sums.r2) * sums.total, sums.total, codes[sums.rows])
    # A single split shares no training rows with another one: its error is that of its test rows.
    error = max(nadeau_bengio(sums.r2_per_fold, splits), by_group * (SHARED_FIT if len(splits) > 1 else 1.0))
    return LinearProbe(
        r2=sums.r2,
        cosine=float(np.concatenate([fit.cosines for fit in fits]).mean()),
        r2_standard_error=error,
        r2_interval=(sums.r2 - 1.96 * error, sums.r2 + 1.96 * error),
        r2_per_fold=tuple(sums.r2_per_fold),
        r2_per_component=_per_component(fits),
        r2_train=float(np.mean([fit.r2_train for fit in fits])),
        penalties=tuple(fit.penalty for fit in fits),
        tested=sums.rows,
        residual=sums.residual,
        total=sums.total,
        carried=(carried := _carried(fits, y)).cpu(),
        predictions=_raw_predictions(carried, y) if predictions else None,
    )


def _index(rows: npt.NDArray[np.int64], space: Space) -> torch.Tensor:
    return torch.from_numpy(rows).to(space.device)


@dataclass(frozen=True)
class _Fit:
    """One fold: tested rows, their predictions in principal coordinates, and squared errors."""

    rows: npt.NDArray[np.int64]
    predicted: torch.Tensor
    penalty: float
    cosines: Floats
    residual: torch.Tensor
    total: torch.Tensor
    r2_train: float


def _test(
    factor: RidgeFactor | KernelRidge, projected: torch.Tensor, y: torch.Tensor, split: Fold, multiples: Sequence[float]
) -> _Fit:
    train, test = (torch.from_numpy(rows).to(y.device) for rows in split)
    targets = centre(y[train])
    mean = y[train].mean(dim=0)
    penalty, r2_train = factor.best_penalty(targets, multiples)
    shift = factor.predict(projected, targets, penalty)
    truth = y[test] - mean
    norms = torch.linalg.vector_norm(shift, dim=1) * torch.linalg.vector_norm(truth, dim=1)
    cosines = torch.where(norms > 0, (shift * truth).sum(dim=1) / norms.clamp_min(1e-300), 0.0)
    residual, total = (truth - shift).square(), truth.square()
    return _Fit(split[1], shift + mean, penalty, cosines.cpu().numpy(), residual, total, r2_train)


@dataclass(frozen=True)
class _Sums:
    """Squared errors of the tested rows, and r2 from them."""

    rows: npt.NDArray[np.int64]
    residual: Floats
    total: Floats
    r2_per_fold: list[float]

    @classmethod
    def of(cls, fits: Sequence[_Fit]) -> _Sums:
        residual = [fit.residual.sum(dim=1).cpu().numpy() for fit in fits]
        total = [fit.total.sum(dim=1).cpu().numpy() for fit in fits]
        per_fold = [_r2(float(a.sum()), float(b.sum())) for a, b in zip(residual, total, strict=True)]
        rows = np.concatenate([fit.rows for fit in fits])
        return cls(rows, np.concatenate(residual), np.concatenate(total), per_fold)

    @property
    def r2(self) -> float:
        return _r2(float(self.residual.sum()), float(self.total.sum()))


def _r2(residual: float, total: float) -> float:
    if total == 0:
        raise ForesightError("y is constant in a test fold: its R2 is undefined there; use fewer folds")
    return 1 - residual / total


def _per_component(fits: Sequence[_Fit]) -> tuple[float, ...]:
    residual = torch.stack([fit.residual.sum(dim=0) for fit in fits]).sum(dim=0)
    total = torch.stack([fit.total.sum(dim=0) for fit in fits]).sum(dim=0)
    # Leave out components without variance: they are rounding noise.
    kept = total > 1e-12 * total.sum()
    return tuple((1 - residual[kept] / total[kept]).tolist())


def nadeau_bengio(per_fold: Sequence[float], splits: Sequence[Fold]) -> float:
    """Return the standard error of the mean of ``per_fold``, whose training parts overlap; 0 for a single fold."""
    if len(per_fold) < 2:
        return 0.0
    ratio = sum(len(test) / len(train) for train, test in splits) / len(splits)
    return math.sqrt((1 / len(per_fold) + ratio) * float(np.var(per_fold, ddof=1)))


def group_error(slack: Floats, total: Floats, codes: npt.NDArray[np.int64]) -> float:
    """Return the bootstrap standard error of a ratio of sums over whole groups; infinite with a single group.

    Args:
        slack: numerator minus ratio times denominator of each tested row ``[t]``; the values add up to 0.
        total: denominator of each tested row ``[t]``.
        codes: group of each tested row ``[t]``.
    """
    sums = np.bincount(codes, weights=slack)[np.unique(codes)]
    g = len(sums)
    return math.sqrt(g / (g - 1) * float(sums @ sums)) / float(total.sum()) if g > 1 else math.inf


def _carried(fits: Sequence[_Fit], y: Space) -> torch.Tensor:
    carried = torch.full_like(y.coordinates, torch.nan)
    for fit in fits:
        carried[_index(fit.rows, y)] = fit.predicted
    return carried


def _raw_predictions(carried: torch.Tensor, y: Space) -> Floats:
    squares = y.coordinates.square().sum(dim=0)
    kept = squares > 1e-14 * squares.sum()
    axes = (y.coordinates[:, kept] / squares[kept]).T @ y.centred
    predictions: Floats = (carried[:, kept] @ axes + column_means(y.values)).cpu().numpy()
    return predictions


def _check_folds(folds: Sequence[Fold], n: int) -> list[Fold]:
    checked = [(np.asarray(train, dtype=np.int64), np.asarray(test, dtype=np.int64)) for train, test in folds]
    for index, (train, test) in enumerate(checked):
        if len(train) < 3 or len(test) < 1:
            raise ForesightError(f"fold {index} has {len(train)} training and {len(test)} test rows: wanted 3 and 1")
        rows = np.concatenate([train, test])
        if rows.min() < 0 or rows.max() >= n or len(np.intersect1d(train, test)):
            raise ForesightError(f"fold {index} has rows outside 0 to {n - 1}, or on both sides of its split")
    if not checked:
        raise ForesightError("folds is empty: wanted at least one (train rows, test rows)")
    return checked
