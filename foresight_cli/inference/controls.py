"""Gain of the source over a control representation: the difference of two held-out R2, with its error."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.folds import Fold
from foresight_cli.metrics.kernels import median
from foresight_cli.metrics.linear_algebra import symmetric_eigen
from foresight_cli.metrics.probe import SHARED_FIT, group_error, linear_probe, nadeau_bengio
from foresight_cli.metrics.ridge.ridge import column_scale
from foresight_cli.metrics.space import Space
from foresight_cli.metrics.validation import Labels, as_codes, centre

LANDMARKS, BANDWIDTHS = 300, (1.0, 0.5)
NARROW = 64
"""Controls of up to this many columns are also tried with a curved map."""


@dataclass(frozen=True)
class Gain:
    """Gain in held-out R2: R2([source, control]) - R2(control).

    Attributes:
        value: the difference, held out, on the same folds.
        standard_error: the larger of Nadeau-Bengio's over folds and the group bootstrap's, as for R2 itself.
        control_r2: R2(control).
    """

    value: float
    standard_error: float
    control_r2: float


def r2_gain(source: torch.Tensor, control: torch.Tensor, target: Space, groups: Labels, folds: Sequence[Fold]) -> Gain:
    """Measure how much ``source [n, d1]`` adds to ``control [n, d2]`` in predicting ``target``.

    Both probes use the same folds, so the differences are paired. The two blocks are scaled to the same total variance,
    so that the common penalty does not shrink the narrow block away. The columns of the control are taken unchanged or
    standardised, whichever predicts better: with equal weights, a thumbnail's few strong directions are lost among its
    many weak ones, and a source that keeps them would seem to add what the control already has. A narrow control may
    also be curved: a network can turn three colours into a thousand features that no linear map of three numbers gives.

    Source: Nadeau and Bengio 2003 for the variance over folds.
    """
    source, control = source.to(target.device), control.to(target.device)
    blocks = [_unit(control), _unit(control, standardize=False)]
    if control.shape[1] <= NARROW:
        with suppress(ForesightError):  # no bandwidth: constant, or equal in more than half of the pairs
            blocks.append(_unit(curved(blocks[0]), standardize=False))
    probes = [(linear_probe(block, target, groups=groups, folds=folds, standardize=False), block) for block in blocks]
    alone, block = max(probes, key=lambda pair: pair[0].r2)
    joint = linear_probe(
        torch.cat([_unit(source), block], dim=1), target, groups=groups, folds=folds, standardize=False
    )
    value = joint.r2 - alone.r2
    slack = alone.residual - joint.residual - value * alone.total
    by_group = group_error(slack, alone.total, as_codes(groups, len(source), "groups")[alone.tested])
    over_folds = nadeau_bengio(np.subtract(joint.r2_per_fold, alone.r2_per_fold).tolist(), folds)
    widened = SHARED_FIT if len(folds) > 1 else 1.0
    return Gain(value, max(over_folds, widened * by_group), alone.r2)


def curved(control: torch.Tensor) -> torch.Tensor:
    """Compute smooth features of the control ``[n, r]``: its Gaussian kernels with `LANDMARKS` of its rows, whitened.

    The inner products of the features approximate, from these rows, the sum of two kernels: a smooth one with the
    median distance as its bandwidth, and one that is twice as sharp.

    Raises:
        ForesightError: the landmarks are equal in more than half of their pairs.

    Source: Williams and Seeger 2001 (Nystroem approximation).
    """
    landmarks = torch.arange(0, len(control), -(-len(control) // LANDMARKS), device=control.device)
    squared = Space(control).distances().squared(landmarks).T
    bandwidth = median(Space(control[landmarks]).distances().condensed_squared())
    if bandwidth == 0:
        raise ForesightError("control has equal rows in more than half of its pairs: it has no bandwidth")
    parts = []
    for share in BANDWIDTHS:
        kernel = torch.exp(squared / (-2 * share**2 * bandwidth))
        eigenvalues, vectors = symmetric_eigen(kernel[landmarks])
        kept = eigenvalues > 1e-9 * eigenvalues[-1]
        parts.append(kernel @ (vectors[:, kept] / eigenvalues[kept].sqrt()))
    return torch.cat(parts, dim=1)


def one_hot(labels: Sequence[str]) -> torch.Tensor:
    """Return the labels as one column per category ``[n, c]``, 1 for the row's category and 0 elsewhere."""
    names, codes = np.unique(np.asarray(labels), return_inverse=True)
    return torch.nn.functional.one_hot(torch.from_numpy(codes), len(names)).double()


def side_by_side(control: torch.Tensor) -> torch.Tensor:
    """Centre the control and scale it to total variance 1 ``[n, d]``, to be placed beside other controls."""
    return _unit(control.double(), standardize=False)


def _unit(block: torch.Tensor, *, standardize: bool = True) -> torch.Tensor:
    """Centre the columns, standardise them if ``standardize``, and scale the block to total variance 1."""
    centred = centre(block)
    scaled = centred / column_scale(centred) if standardize else centred
    return scaled / scaled.square().sum(dim=1).mean().sqrt().clamp_min(1e-300)
