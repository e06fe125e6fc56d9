"""What a representation without a network scores against the chosen target, and what the source adds to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch

from foresight_cli.config import AnalyzeConfig
from foresight_cli.errors import ForesightError
from foresight_cli.experiments import pairs
from foresight_cli.experiments.representation import Representation
from foresight_cli.experiments.scored import Scored
from foresight_cli.inference.controls import one_hot, r2_gain, side_by_side
from foresight_cli.metrics import linear_cka
from foresight_cli.metrics.folds import Fold
from foresight_cli.results import Control, Estimate

TOGETHER = "all_controls"
"""The controls side by side: each by itself may fall short of what they explain between them."""


def control_results(
    controls: Mapping[str, torch.Tensor],
    source: Representation,
    target: Representation,
    rows: Scored,
    folds: Sequence[Fold],
    config: AnalyzeConfig,
) -> list[Control]:
    """One result for each control, one for the categories where there are any, and one for all of them together.

    Args:
        controls: ``[n, d]`` by name, on the scored rows.
        source: of the chosen pair.
        target: of the chosen pair.
        rows: the scored rows.
        folds: of the probes.
        config: neighbours and seed.
    """
    spaces = dict(controls)
    if rows.labelled:
        spaces["label"] = one_hot(rows.categories)
    if len(spaces) > 1:
        spaces[TOGETHER] = torch.cat([side_by_side(values) for values in spaces.values()], dim=1)
    return [_score(name, values, source, target, rows, folds, config) for name, values in spaces.items()]


def _score(
    name: str,
    values: torch.Tensor,
    source: Representation,
    target: Representation,
    rows: Scored,
    folds: Sequence[Fold],
    config: AnalyzeConfig,
) -> Control:
    space = Representation("control", name, "final", "flat", "", values, rows.one_of_each, target.device).independent
    other = target.independent
    k = min(config.neighbors, len(space.values) - 2)
    gain = r2_gain(source.values, values, target.space, list(rows.groups), folds)
    return Control(
        name=name,
        r2=gain.control_r2,
        cka=_or_none(lambda: linear_cka(space.space, other.space)),
        spearman=_or_none(lambda: pairs.spearman(space, other)),
        recall=_or_none(lambda: pairs.overlap(space, other, k, config.seed).recall.value),
        delta_r2=Estimate.of(gain.value, gain.standard_error, chance=0.0),
    )


def _or_none(measure: Callable[[], float]) -> float | None:
    """Categories of one row each, or a single one, are equally far apart: there is no likeness to measure."""
    try:
        value = measure()
    except ForesightError:
        return None
    return None if math.isnan(value) else value
