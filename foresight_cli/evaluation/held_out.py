"""Held-out measures of a map: R2, cosine, retrieval, principal components, attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from foresight_cli.experiments.bridge import retained
from foresight_cli.metrics import Ridge, fit_ridge
from foresight_cli.metrics.probe import group_error
from foresight_cli.metrics.space import Space
from foresight_cli.results import Attribute, AttributeGain, Estimate

Floats = npt.NDArray[np.float64]
Predict = Callable[[torch.Tensor], torch.Tensor]
"""A map of raw source rows ``[m, d1]`` to raw target rows ``[m, d2]``, both in double precision."""

RETRIEVED = (1, 5, 10)
COMPONENTS = 64
"""Number of principal components of the target in the curve."""
NEGLIGIBLE = 1e-3
"""A smaller difference of R2 is a tie: the rounding of weights to single precision alone can cause it."""
LEAST_ROWS = 20
"""An attribute with values on fewer training rows, or on fewer test rows, is not judged."""


@dataclass(frozen=True)
class Held:
    """Rows to score on, in double precision.

    Attributes:
        x: ``[t, d1]``.
        y: ``[t, d2]``.
        mean: of the target's training rows ``[d2]``.
        codes: group of each row ``[t]``.
    """

    x: torch.Tensor
    y: torch.Tensor
    mean: torch.Tensor
    codes: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fit:
    """One map on the rows of a `Held`.

    Attributes:
        shift: predictions minus the training mean ``[t, d2]``.
        residual: squared error of each row ``[t]``.
        total: squared distance of each row from the training mean ``[t]``.
    """

    shift: torch.Tensor
    residual: Floats
    total: Floats

    @classmethod
    def of(cls, predict: Predict, held: Held) -> Fit:
        """Apply ``predict`` to the rows."""
        truth, shift = held.y - held.mean, predict(held.x) - held.mean
        return cls(shift, *((part).square().sum(dim=1).numpy() for part in (truth - shift, truth)))

    @property
    def r2(self) -> float:
        """R2 pooled over rows and columns."""
        return 1 - float(self.residual.sum() / self.total.sum())


def r2_estimate(fits: Sequence[Fit], held: Held) -> Estimate:
    """Return the mean R2 of several runs on the same rows, with the error of the rows, by groups, and of the runs."""
    residual = np.mean([fit.residual for fit in fits], axis=0)
    return _estimate(residual, fits[0].total, [fit.r2 for fit in fits], held)


def gain(ours: Sequence[Fit], other: Fit, held: Held) -> Estimate:
    """Return R2 of ours minus R2 of the other, row by row on the same rows."""
    less = other.residual - np.mean([fit.residual for fit in ours], axis=0)
    return _gain(less, other.total, held.codes, _between([fit.r2 for fit in ours]))


def outcome(difference: Estimate) -> str:
    """Return ``better``, ``worse`` or ``tie``: the 95 % interval contains 0, or the value is under `NEGLIGIBLE`."""
    assert difference.low is not None
    assert difference.high is not None
    if abs(difference.value) < NEGLIGIBLE:
        return "tie"
    if difference.low > 0:
        return "better"
    return "worse" if difference.high < 0 else "tie"


def cosine(fit: Fit, held: Held) -> float:
    """Return the mean cosine of prediction and target about the training mean; 0 if either equals that mean."""
    similarity = torch.nn.functional.cosine_similarity(fit.shift, held.y - held.mean, dim=1, eps=1e-300)
    return float(similarity.mean())


def retrieval(fit: Fit, held: Held) -> dict[str, float]:
    """Return the share of predictions whose own target is among the k most similar, by cosine about the training mean.

    Targets of the same group do not compete. Ties count with the probability that a random order would give.
    """
    a, b = (torch.nn.functional.normalize(rows, dim=1, eps=1e-300) for rows in (fit.shift, held.y - held.mean))
    similarity = a @ b.T
    own = similarity.diagonal().clone()[:, None]
    codes = torch.from_numpy(held.codes)
    rival = codes[:, None] != codes
    ahead = ((similarity > own) & rival).sum(dim=1).double()
    level = ((similarity == own) & rival).sum(dim=1).double()
    return {str(k): float(((k - ahead) / (level + 1)).clamp(0, 1).mean()) for k in RETRIEVED}


def chance(held: Held) -> dict[str, float]:
    """Return what `retrieval` gives a constant prediction."""
    rivals = len(held.codes) - np.bincount(held.codes)[held.codes]
    return {str(k): float(np.minimum(1, k / (rivals + 1)).mean()) for k in RETRIEVED}


def per_component(fit: Fit, held: Held, train_y: torch.Tensor) -> list[float]:
    """Return the R2 of each principal component of the target, largest first; axes come from ``train_y [m, d2]``."""
    space = Space(train_y)
    coordinates = space.coordinates[:, :COMPONENTS]
    squares = coordinates.square().sum(dim=0)
    kept = squares > 1e-9 * squares.sum()
    axes = space.centred.T @ (coordinates[:, kept] / squares[kept].sqrt())
    axes = axes / axes.norm(dim=0)
    truth = (held.y - held.mean) @ axes
    residual = truth - fit.shift @ axes
    r2: list[float] = (1 - residual.square().sum(dim=0) / truth.square().sum(dim=0).clamp_min(1e-300)).tolist()
    return r2


@dataclass(frozen=True)
class Carried:
    """The attributes that two maps keep, and the gain in R2 of the first over the second."""

    own: list[Attribute]
    ridge: list[Attribute]
    gains: list[AttributeGain]


def attributes_kept(
    own: Fit,
    ridge: Fit | None,
    held: Held,
    train: tuple[torch.Tensor, torch.Tensor],
    attributes: dict[str, tuple[torch.Tensor, torch.Tensor]],
    groups: Sequence[str],
    *,
    ceiling: float,
    seed: int,
) -> Carried:
    """Measure how well the probe of the true target reads each attribute from predictions of an adapter and of ridge.

    Args:
        own: the adapter on the held-out rows.
        ridge: the baseline on the same rows, if any.
        held: the held-out rows.
        train: source and target rows ``[m, d1]`` and ``[m, d2]`` that probes are fitted on.
        attributes: each attribute of the training and of the held-out rows ``[m]`` and ``[t]``, NaN for no value.
        groups: of the held-out rows.
        ceiling: least lower bound of R2 from the true target.
        seed: of the resampling.
    """
    carried = Carried([], [], [])
    for attribute, (train_values, test_values) in attributes.items():
        in_train, in_test = torch.isfinite(train_values), torch.isfinite(test_values)
        if min(int(in_train.sum()), int(in_test.sum())) < LEAST_ROWS or train_values[in_train].std() == 0:
            continue
        wanted = train_values[in_train][:, None].double()
        probes = [fit_ridge(rows[in_train], wanted, standardize=i == 0) for i, rows in enumerate(train)]
        truth = test_values[in_test].double()

        def errors(probe: Ridge, rows: torch.Tensor, truth: torch.Tensor = truth) -> Floats:
            return (truth - probe.predict(rows).flatten()).square().numpy()

        scored = {"total": (truth - wanted.mean()).square().numpy(), "rows": in_test.nonzero().flatten().numpy()}
        scored["source"], scored["target"] = errors(probes[0], held.x[in_test]), errors(probes[1], held.y[in_test])
        bridges = [errors(probes[1], (fit.shift + held.mean)[in_test]) for fit in (own, ridge) if fit]
        for kept, bridge in zip((carried.own, carried.ridge), bridges, strict=False):
            kept.append(retained(attribute, [{**scored, "bridge": bridge}], groups, ceiling, 1, seed))
        if ridge is None:
            continue
        more = _gain(bridges[1] - bridges[0], scored["total"], held.codes[in_test.numpy()], 0.0)
        carried.gains.append(AttributeGain(attribute, more, outcome(more)))
    return carried


def _gain(less: Floats, total: Floats, codes: npt.NDArray[np.int64], between: float) -> Estimate:
    """Return a difference of R2 from each row's difference of squared errors; ``between`` is the error of the runs."""
    value = float(less.sum() / total.sum())
    error = group_error(less - value * total, total, codes)
    return Estimate.of(value, float(np.hypot(error, between)), chance=0.0)


def _estimate(residual: Floats, total: Floats, r2: Sequence[float], held: Held) -> Estimate:
    value = 1 - float(residual.sum() / total.sum())
    rows = group_error(residual - (1 - value) * total, total, held.codes)
    return Estimate.of(value, float(np.hypot(rows, _between(r2))), chance=0.0)


def _between(r2: Sequence[float]) -> float:
    """Return the standard error of a mean over runs; 0 for one run."""
    return float(np.std(r2, ddof=1) / np.sqrt(len(r2))) if len(r2) > 1 else 0.0
