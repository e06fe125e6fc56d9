"""Scores of the controls against the chosen target, and what the source adds to each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from foresight_cli.config import AnalyzeConfig
from foresight_cli.config.controls import LABEL, TOGETHER
from foresight_cli.config.verdict import LEAST_GROUPS
from foresight_cli.errors import ForesightError
from foresight_cli.experiments import pairs
from foresight_cli.inference.controls import one_hot, r2_gain, side_by_side
from foresight_cli.inputs.joined import SampleTable
from foresight_cli.inputs.representation import Representation
from foresight_cli.metrics import linear_cka
from foresight_cli.metrics.folds import Fold
from foresight_cli.results import Control, Estimate

LEAST_TRAINING = 10
"""A fold with fewer labelled training rows is skipped."""


def control_results(
    controls: Mapping[str, torch.Tensor],
    source: Representation,
    target: Representation,
    rows: SampleTable,
    folds: Sequence[Fold],
    config: AnalyzeConfig,
) -> list[Control]:
    """Return a result for each control, for the categories if the data has any, and for all of them together.

    The result for the categories uses only the rows that have one.

    Args:
        controls: ``[n, d]`` by name, on the scored rows.
        source: of the chosen pair.
        target: of the chosen pair.
        rows: the scored rows.
        folds: of the probes.
        config: neighbours and seed.
    """
    spaces = dict(controls)
    labelled = rows.labelled
    if labelled:
        spaces[LABEL] = one_hot(rows.categories)
    if len(spaces) > 1:  # together they may explain more than each by itself
        spaces[TOGETHER] = torch.cat([side_by_side(values) for values in spaces.values()], dim=1)
    labelled_part = _Part.of(labelled, source, target, rows, folds) if 0 < len(labelled) < len(rows.labels) else None
    whole = _Part(source, target, rows, folds)
    scores = []
    for name, values in spaces.items():
        if name == LABEL and len(labelled) < len(rows.labels):
            # On rows without a label, the source may predict the category: that would look like a gain over the label.
            if labelled_part is not None:
                scores.append(_score(name, values[labelled], labelled_part, config))
        else:
            scores.append(_score(name, values, whole, config))
    return scores


@dataclass(frozen=True)
class _Part:
    """Rows that controls are scored on, and their folds."""

    source: Representation
    target: Representation
    rows: SampleTable
    folds: Sequence[Fold]

    @classmethod
    def of(
        cls,
        index: Sequence[int],
        source: Representation,
        target: Representation,
        rows: SampleTable,
        folds: Sequence[Fold],
    ) -> _Part | None:
        """Return the part with the rows ``index``; None if they are too few for a fold."""
        position = np.full(len(rows.labels), -1)
        position[list(index)] = np.arange(len(index))
        renumbered = [(position[train], position[test]) for train, test in folds]
        kept = [(train[train >= 0], test[test >= 0]) for train, test in renumbered]
        kept = [(train, test) for train, test in kept if len(train) >= LEAST_TRAINING and len(test)]
        some = rows.take(index)
        if not kept or len(set(some.groups)) < LEAST_GROUPS:
            return None
        spaces = [space.rows(index, some.one_of_each) for space in (source, target)]
        return cls(spaces[0], spaces[1], some, kept)


def _score(name: str, values: torch.Tensor, part: _Part, config: AnalyzeConfig) -> Control:
    target, drawn = part.target, part.rows.one_of_each
    space = Representation("control", name, "final", "flat", "", values, drawn, target.device).independent
    other = target.independent
    k = min(config.neighbors, len(space.values) - 2)
    gain = r2_gain(part.source.values, values, target.space, list(part.rows.groups), part.folds)
    return Control(
        name=name,
        r2=gain.control_r2,
        cka=_or_none(lambda: linear_cka(space.space, other.space)),
        spearman=_or_none(lambda: pairs.spearman(space, other)),
        recall=_or_none(lambda: pairs.overlap(space, other, k, config.seed).recall.value),
        delta_r2=Estimate.of(gain.value, gain.standard_error, chance=0.0),
    )


def _or_none(measure: Callable[[], float]) -> float | None:
    """Return the measure; None if it is undefined: one category, or one row for each, has only equal distances."""
    try:
        value = measure()
    except ForesightError:
        return None
    return None if math.isnan(value) else value
