"""The state of a training run after an epoch, in one file that is whole or absent: a killed run goes on from it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from foresight_cli.latents.atomic import make_folder, write_atomic

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Epoch:
    """Losses after an epoch, as shares of the target's variance: 1 is what the mean predicts."""

    number: int
    train: float
    validation: float
    lr: float


@dataclass
class Progress:
    """Where a run is.

    Attributes:
        epochs: those that are over.
        best: number of the best one, 0 before the first.
        weights: of the adapter now.
        kept: of the best epoch.
        optimizer: AdamW's tensors, by ``<parameter>/<name>``.
    """

    epochs: list[Epoch]
    best: int
    weights: Tensors
    kept: Tensors
    optimizer: Tensors


class Checkpoint:
    """The file ``path``; its folder is made when it is first written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, progress: Progress) -> None:
        """Replace what is there.

        Raises:
            ForesightError: the disk is full, or the folder cannot be written to.
        """
        said = json.dumps({"epochs": [asdict(epoch) for epoch in progress.epochs], "best": progress.best})
        tensors = {"state": torch.frombuffer(bytearray(said.encode()), dtype=torch.uint8)}
        for part in ("weights", "kept", "optimizer"):
            named: Tensors = getattr(progress, part)
            tensors |= {f"{part}:{name}": value.detach().cpu().contiguous() for name, value in named.items()}
        make_folder(self.path.parent)
        write_atomic(self.path, save(tensors))

    def load(self) -> Progress | None:
        """What was saved; None where nothing was, or it cannot be read: then training starts anew."""
        try:
            tensors = load(self.path.read_bytes())
            said = json.loads(tensors.pop("state").numpy().tobytes())
            parts: dict[str, Tensors] = {"weights": {}, "kept": {}, "optimizer": {}}
            for name, value in tensors.items():
                part, _, rest = name.partition(":")
                parts[part][rest] = value
            return Progress([Epoch(**epoch) for epoch in said["epochs"]], said["best"], **parts)
        except (OSError, SafetensorError, KeyError, ValueError, TypeError):
            return None

    def remove(self) -> None:
        """The run is over."""
        self.path.unlink(missing_ok=True)
