"""What the source adds to a trivial representation: the difference of two held-out R2, with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from foresight_cli.metrics import linear_probe
from foresight_cli.metrics.ridge import column_scale
from foresight_cli.metrics.validation import centre


def delta_r2(
    source: torch.Tensor, control: torch.Tensor, target: torch.Tensor, groups: Sequence[str], folds: int, seed: int
) -> tuple[float, float, float, float]:
    """R2([source, control]) - R2(control) with its 95 % interval, and R2(control): ``(delta, low, high, r2)``.

    Both probes use the same folds, so the differences are paired. The source block is scaled to the control's total
    variance, so that the one penalty does not shrink the narrow block of the two away.

    Args:
        source: ``[n, d1]``.
        control: ``[n, d2]``.
        target: ``[n, d3]``.
        groups: of the rows.
        folds: of the cross-validation, by group.
        seed: of the folds.

    Source: Nadeau and Bengio 2003 for the variance over folds.
    """
    alone = linear_probe(_unit(control), target, groups=list(groups), folds=folds, seed=seed, standardize=False)
    both = torch.cat([_unit(source), _unit(control)], dim=1)
    joint = linear_probe(both, target, groups=list(groups), folds=folds, seed=seed, standardize=False)
    differences = np.subtract(joint.r2_per_fold, alone.r2_per_fold)
    error = math.sqrt((1 / folds + 1 / (folds - 1)) * float(np.var(differences, ddof=1)))
    delta = joint.r2 - alone.r2
    return delta, delta - 1.96 * error, delta + 1.96 * error, alone.r2


def one_hot(labels: Sequence[str]) -> torch.Tensor:
    """The categories as columns ``[n, c]``."""
    names, codes = np.unique(np.asarray(labels), return_inverse=True)
    return torch.nn.functional.one_hot(torch.from_numpy(codes), len(names)).double()


def _unit(block: torch.Tensor) -> torch.Tensor:
    """Columns standardised as for any probe, then the block scaled to total variance 1."""
    centred = centre(block)
    scaled = centred / column_scale(centred)
    return scaled / scaled.square().sum(dim=1).mean().sqrt().clamp_min(1e-300)
