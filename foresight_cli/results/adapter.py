"""What ``foresight adapt`` finds, typed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from foresight_cli.results.attribute import Attribute
from foresight_cli.results.duplicates import Duplicates
from foresight_cli.results.estimates import Estimate


@dataclass(frozen=True)
class AdapterScore:
    """Scores of one way to predict the target, on the test rows.

    Attributes:
        parameters: numbers learned; for ``nearest``, those it has to keep.
        r2: pooled over rows and columns, against the training mean; the mean over seeds.
        cosine: mean cosine of prediction and target, both minus the training mean.
        recall: share of test rows whose own target is among the k nearest of all test targets to the prediction, by k.
        gain: R2 of the adapter minus this R2, on the same rows; None for the adapter itself.
        outcome: of the adapter against this: ``better``, ``worse``, or ``tie`` where the interval of the gain holds 0.
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
    """R2 of an attribute as read from what the adapter predicts, minus that as read from what ridge predicts."""

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
    """All that ``foresight adapt`` found; ``results.yaml`` beside ``adapter.safetensors``.

    Attributes:
        adapter: its kind.
        shape: what was found out of its size, as the rank of a low-rank map.
        rows: in training, validation and test.
        scores: the adapter first, then mean, ridge, nearest and shuffled, on the same test rows.
        chance: recall of a guess, by k.
        r2_validation: of the adapter on the validation rows, on which sizes are chosen.
        r2_train: of the adapter on its training rows.
        noise_ceiling: the largest R2 that any adapter could have; 1 where it was not measured.
        noise_from: the change of the pictures that it was measured with, ``jpeg`` or ``shift``; None: not measured.
        r2_per_component: of the adapter on the test rows, by principal component of the target, the largest first.
        attributes: what can be read of each from source, target, and what the adapter carried.
        attributes_ridge: the same for ridge; empty where ridge was too large to be made.
        attribute_gains: of the adapter over ridge, on the same rows.
        seeds: each training run; the first of equals with the best validation is the one that was saved.
        saved_seed: of the weights beside this file.
        models: ``source`` and ``target``, the kinds of the two models.
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
