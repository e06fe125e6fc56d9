"""Typed results of ``foresight adapt``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from foresight_cli.results.attribute import Attribute
from foresight_cli.results.duplicates import Duplicates
from foresight_cli.results.estimates import Estimate


@dataclass(frozen=True)
class AdapterScore:
    """Scores of one method to predict the target, on the test rows.

    Attributes:
        parameters: number of learned parameters; for ``nearest``, of the numbers it must keep.
        r2: pooled over rows and columns, against the training mean; the mean over seeds.
        cosine: mean cosine of prediction and target, both minus the training mean.
        recall: share of test rows whose target is among the k test targets nearest to the prediction, by k.
        gain: R2 of the adapter minus this R2, on the same rows; None for the adapter itself.
        outcome: the adapter compared with this method: ``better``, ``worse``, or ``tie`` if the interval of the gain
            contains 0.
    """

    name: str
    parameters: int
    r2: Estimate
    cosine: float
    recall: dict[str, float]
    gain: Estimate | None
    outcome: str | None


@dataclass(frozen=True)
class AttributeGain:
    """R2 of an attribute read from the adapter's predictions, minus its R2 read from those of ridge."""

    name: str
    gain: Estimate
    outcome: str


@dataclass(frozen=True)
class SeedScore:
    """One training run: other initial weights, other batches, the same rows."""

    seed: int
    r2: float
    r2_validation: float
    r2_train: float
    epochs: int
    best_epoch: int


@dataclass(frozen=True)
class AdapterResults:
    """All results of ``foresight adapt``: ``results.yaml`` beside ``adapter.safetensors``.

    Attributes:
        adapter: kind of the adapter.
        shape: sizes that come from the data, such as the rank of a low-rank map.
        rows: numbers of training, validation and test rows.
        scores: the adapter first, then mean, ridge, nearest and shuffled, on the same test rows.
        chance: recall of a guess, by k.
        r2_validation: R2 of the adapter on the validation rows, which are used to choose sizes.
        r2_train: R2 of the adapter on its training rows.
        noise_ceiling: the largest R2 that any adapter could have; 1 if it was not measured.
        noise_from: the change of the pictures for the noise ceiling, ``jpeg`` or ``shift``; None: not measured.
        r2_per_component: R2 of the adapter on the test rows, by principal component of the target, the largest first.
        attributes: R2 of each attribute read from the source, from the target and from the adapter's predictions.
        attributes_ridge: the same for ridge; empty if ridge was too large to fit.
        attribute_gains: gains of the adapter over ridge, on the same rows.
        seeds: each training run; the saved one is the first with the best validation.
        saved_seed: seed of the weights beside this file.
        models: ``source`` and ``target``: the kinds of the two models.
    """

    adapter: str
    shape: dict[str, int]
    source: str
    target: str
    weights: str
    duplicates: Duplicates
    rows: dict[str, int]
    scores: list[AdapterScore]
    chance: dict[str, float]
    r2_validation: Estimate
    r2_train: float
    noise_ceiling: float
    noise_from: str | None
    r2_per_component: list[float]
    attributes: list[Attribute]
    attributes_ridge: list[Attribute]
    attribute_gains: list[AttributeGain]
    seeds: list[SeedScore]
    saved_seed: int
    settings: dict[str, Any]
    provenance: dict[str, Any]
    models: dict[str, str] = field(default_factory=dict)
