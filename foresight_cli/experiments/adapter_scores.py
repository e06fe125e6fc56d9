"""An adapter beside what it has to beat: the mean, ridge, the nearest training pair, itself on shuffled pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from foresight_cli.experiments.held_out import Fit, Held, Predict, cosine, gain, outcome, r2_estimate, retrieval
from foresight_cli.results import AdapterScore, Estimate
from foresight_cli.training.pairs import Moments, Pairs

ASKED_AT_ONCE = 512


@dataclass(frozen=True)
class Way:
    """A way to predict the target: its name, what it has learned, and what it gives on the test rows, run by run."""

    name: str
    parameters: int
    fits: list[Fit]


def scores_of(ours: Way, others: Sequence[Way], held: Held) -> list[AdapterScore]:
    """Ours first, then each of the others with what ours gains over it; retrieval and cosine are those of one run."""
    found = [_score(ours, held, None)]
    return found + [_score(way, held, gain(ours.fits, way.fits[0], held)) for way in others]


def nearest_pair(train: Pairs, x: Moments) -> Predict:
    """Copies the target of the training row whose source is nearest, columns standardised; reads pairs in blocks."""
    scale = torch.where(x.variance > 0, x.variance.sqrt(), 1.0)

    def predict(rows: torch.Tensor) -> torch.Tensor:
        asked = (rows - x.mean) / scale
        least = torch.full((len(rows),), torch.inf, dtype=torch.float64)
        copied = torch.zeros(len(rows), train.dims[1], dtype=torch.float64)
        for known, target in train.blocks():
            offered = (known - x.mean) / scale
            norms = offered.square().sum(dim=1)
            for part in torch.arange(len(asked)).split(ASKED_AT_ONCE):
                distance, place = (norms - 2 * asked[part] @ offered.T).min(dim=1)
                nearer = distance < least[part]
                least[part[nearer]] = distance[nearer]
                copied[part[nearer]] = target[place[nearer]]
        return copied

    return predict


def mean_of(y: Moments) -> Predict:
    """The training mean, whatever the source."""
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
