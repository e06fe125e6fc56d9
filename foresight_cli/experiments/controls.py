"""What a representation without a network scores against the chosen target, and what the source adds to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
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
from foresight_cli.sample_size import LEAST_GROUPS

LEAST_TRAINING = 10
"""A fold with fewer labelled rows to learn from is passed over."""
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

    That for the categories is of the rows that have one, source and target likewise.

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
        spaces["label"] = one_hot(rows.categories)
    if len(spaces) > 1:
        spaces[TOGETHER] = torch.cat([side_by_side(values) for values in spaces.values()], dim=1)
    some = _Part.of(labelled, source, target, rows, folds) if 0 < len(labelled) < len(rows.labels) else None
    whole = _Part(source, target, rows, folds)
    scores = []
    for name, values in spaces.items():
        if name == "label" and len(labelled) < len(rows.labels):
            # What the source knows of rows without a label may be their category: it would seem to add to the label.
            if some is not None:
                scores.append(_score(name, values[labelled], some, config))
        else:
            scores.append(_score(name, values, whole, config))
    return scores


@dataclass(frozen=True)
class _Part:
    """Rows that controls are scored on, and the folds among them."""

    source: Representation
    target: Representation
    rows: Scored
    folds: Sequence[Fold]

    @classmethod
    def of(
        cls, index: Sequence[int], source: Representation, target: Representation, rows: Scored, folds: Sequence[Fold]
    ) -> _Part | None:
        """The rows ``index`` of all; None where they are too few to test on in a fold."""
        place = np.full(len(rows.labels), -1)
        place[list(index)] = np.arange(len(index))
        among = [(place[train], place[test]) for train, test in folds]
        kept = [(train[train >= 0], test[test >= 0]) for train, test in among]
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
    """Categories of one row each, or a single one, are equally far apart: there is no likeness to measure."""
    try:
        value = measure()
    except ForesightError:
        return None
    return None if math.isnan(value) else value
