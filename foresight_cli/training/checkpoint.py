"""The state of a training run after an epoch, in one file that is complete or absent: a killed run resumes from it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from foresight_cli.latents.storage.atomic import make_folder, write_atomic

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Epoch:
    """Losses after an epoch, as shares of the target's variance: predicting the mean costs 1."""

    number: int
    train: float
    validation: float
    lr: float


@dataclass
class TrainingState:
    """Progress of a training run, from which it resumes.

    Attributes:
        epochs: finished epochs.
        best: number of the best epoch, 0 before the first.
        weights: current weights of the adapter.
        kept: weights of the best epoch.
        optimizer: AdamW's tensors, by ``<parameter>/<name>``.
    """

    epochs: list[Epoch]
    best: int
    weights: Tensors
    kept: Tensors
    optimizer: Tensors


class TrainingCheckpoint:
    """The checkpoint file ``path``; its folder is made when the file is first written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, progress: TrainingState) -> None:
        """Write ``progress``, in place of any earlier state.

        Raises:
            ForesightError: the disk is full, or the folder cannot be written to.
        """
        state = json.dumps({"epochs": [asdict(epoch) for epoch in progress.epochs], "best": progress.best})
        tensors = {"state": torch.frombuffer(bytearray(state.encode()), dtype=torch.uint8)}
        for part in ("weights", "kept", "optimizer"):
            named: Tensors = getattr(progress, part)
            tensors |= {f"{part}:{name}": value.detach().cpu().contiguous() for name, value in named.items()}
        make_folder(self.path.parent)
        write_atomic(self.path, save(tensors))

    def load(self) -> TrainingState | None:
        """Return the saved state; None if it is missing or cannot be read: training then starts again."""
        try:
            tensors = load(self.path.read_bytes())
            state = json.loads(tensors.pop("state").numpy().tobytes())
            parts: dict[str, Tensors] = {"weights": {}, "kept": {}, "optimizer": {}}
            for name, value in tensors.items():
                part, _, rest = name.partition(":")
                parts[part][rest] = value
            return TrainingState([Epoch(**epoch) for epoch in state["epochs"]], state["best"], **parts)
        except (OSError, SafetensorError, KeyError, ValueError, TypeError):
            return None

    def remove(self) -> None:
        """Delete the file, when the run is over."""
        self.path.unlink(missing_ok=True)
