"""Scores of an adapter and of its baselines: the mean, ridge, the nearest training pair, itself on shuffled pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from foresight_cli.evaluation.held_out import Fit, Held, Predict, cosine, gain, outcome, r2_estimate, retrieval
from foresight_cli.results import AdapterScore, Estimate
from foresight_cli.training.pairs import ColumnMoments, Pairs

ASKED_AT_ONCE = 512


@dataclass(frozen=True)
class Way:
    """A way to predict the target: its name, its number of parameters, and its fit on the test rows for each run."""

    name: str
    parameters: int
    fits: list[Fit]


def scores_of(ours: Way, others: Sequence[Way], held: Held) -> list[AdapterScore]:
    """Return the score of ours, then of each other with our gain over it; retrieval and cosine are of the first run."""
    scores = [_score(ours, held, None)]
    return scores + [_score(way, held, gain(ours.fits, way.fits[0], held)) for way in others]


def nearest_pair(train: Pairs, x: ColumnMoments) -> Predict:
    """Return a map that copies the target of the training row with the nearest source; reads the pairs in blocks.

    Distances are between standardised columns.
    """
    scale = torch.where(x.variance > 0, x.variance.sqrt(), 1.0)

    def predict(rows: torch.Tensor) -> torch.Tensor:
        queries = (rows - x.mean) / scale
        least = torch.full((len(rows),), torch.inf, dtype=torch.float64)
        copied = torch.zeros(len(rows), train.dims[1], dtype=torch.float64)
        for source, target in train.blocks():
            offered = (source - x.mean) / scale
            norms = offered.square().sum(dim=1)
            for part in torch.arange(len(queries)).split(ASKED_AT_ONCE):
                distance, position = (norms - 2 * queries[part] @ offered.T).min(dim=1)
                nearer = distance < least[part]
                least[part[nearer]] = distance[nearer]
                copied[part[nearer]] = target[position[nearer]]
        return copied

    return predict


def mean_of(y: ColumnMoments) -> Predict:
    """Return a map that predicts the training mean for every row."""
    return lambda rows: y.mean.expand(len(rows), -1)


def _score(way: Way, held: Held, gained: Estimate | None) -> AdapterScore:
    first = way.fits[0]
    return AdapterScore(
        name=way.name,
        parameters=way.parameters,
        r2=r2_estimate(way.fits, held),
        cosine=cosine(first, held),
        recall=retrieval(first, held),
        gain=gained,
        outcome=outcome(gained) if gained else None,
    )
