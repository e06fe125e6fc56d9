"""The schema of each ``adapter=``."""

from __future__ import annotations

from dataclasses import dataclass

from foresight_cli.config.checks import at_least, between


@dataclass(frozen=True)
class LinearConfig:
    """``adapter=linear``."""

    name: str


@dataclass(frozen=True)
class MLPConfig:
    """``adapter=mlp``."""

    name: str
    hidden: int
    layers: int
    dropout: float
    lr: float
    weight_decay: float
    batch_size: int
    epochs: int
    patience: int

    def __post_init__(self) -> None:
        at_least("adapter.hidden", self.hidden, 1)
        between("adapter.layers", self.layers, 1, 3)
        between("adapter.dropout", self.dropout, 0, 0.9)
        between("adapter.lr", self.lr, 1e-7, 1)
        at_least("adapter.weight_decay", self.weight_decay, 0)
        for key in ("batch_size", "epochs", "patience"):
            at_least(f"adapter.{key}", getattr(self, key), 1)


AdapterConfig = LinearConfig | MLPConfig
