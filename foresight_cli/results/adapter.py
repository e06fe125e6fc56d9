"""What ``foresight adapt`` finds, typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from foresight_cli.results.analysis import Duplicates


@dataclass(frozen=True)
class AdapterScore:
    """Held-out scores of one way to predict the target."""

    name: str
    parameters: int
    r2: float
    cosine: float


@dataclass(frozen=True)
class AdapterResults:
    """All that ``foresight adapt`` found; ``results.yaml`` beside ``adapter.safetensors``.

    Attributes:
        scores: the adapter first, then the mean predictor, ridge and shuffled pairs, on the same test rows.
        r2_train: of the adapter on its training rows.
        epochs: of training, and ``best_epoch``, whose weights were kept; 0 for a closed form.
    """

    adapter: str
    source: str
    target: str
    weights: str
    duplicates: Duplicates
    rows: dict[str, int]
    scores: list[AdapterScore]
    r2_train: float
    epochs: int
    best_epoch: int
    settings: dict[str, Any]
    provenance: dict[str, Any]
