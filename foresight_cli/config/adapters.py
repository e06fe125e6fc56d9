"""Schemas of ``adapter=``."""

from __future__ import annotations

from dataclasses import dataclass

from foresight_cli.config.checks import at_least, between, one_of
from foresight_cli.errors import UsageError


@dataclass(frozen=True)
class BudgetConfig:
    """Settings of every adapter: its kind, and the largest number of parameters allowed."""

    name: str
    max_parameters: int

    def __post_init__(self) -> None:
        at_least("adapter.max_parameters", self.max_parameters, 1)


@dataclass(frozen=True)
class LinearConfig(BudgetConfig):
    """``adapter=linear``."""


@dataclass(frozen=True)
class LowRankConfig(BudgetConfig):
    """``adapter=lowrank``; without a rank, the validation groups choose one."""

    rank: int | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rank is not None:
            at_least("adapter.rank", self.rank, 1)


@dataclass(frozen=True)
class TrainedConfig(BudgetConfig):
    """Settings shared by the adapters that are trained by gradient descent."""

    dropout: float
    lr: float
    weight_decay: float
    batch_size: int
    epochs: int
    patience: int
    loss: str
    cka_weight: float

    def __post_init__(self) -> None:
        super().__post_init__()
        between("adapter.dropout", self.dropout, 0, 0.9)
        between("adapter.lr", self.lr, 1e-7, 1)
        at_least("adapter.weight_decay", self.weight_decay, 0)
        for key in ("batch_size", "epochs", "patience"):
            at_least(f"adapter.{key}", getattr(self, key), 1)
        one_of("adapter.loss", self.loss, LOSSES)
        at_least("adapter.cka_weight", self.cka_weight, 0)


LOSSES = ("mse", "cosine")
"""Training losses: the squared error, or one minus the cosine similarity after subtracting the training mean."""


@dataclass(frozen=True)
class MLPConfig(TrainedConfig):
    """``adapter=mlp``."""

    hidden: int
    layers: int
    expansion: int
    residual: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("adapter.hidden", self.hidden, 1)
        between("adapter.layers", self.layers, 1, 3)
        between("adapter.expansion", self.expansion, 1, 16)


@dataclass(frozen=True)
class QueryConfig(TrainedConfig):
    """``adapter=query``; ``source_width`` and ``target_channels`` default to those of the two models."""

    width: int
    heads: int
    layers: int
    source_width: int | None
    target_channels: int | None

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("width", "heads", "source_width", "target_channels"):
            if getattr(self, key) is not None:
                at_least(f"adapter.{key}", getattr(self, key), 1)
        between("adapter.layers", self.layers, 1, 8)
        if self.width % self.heads:
            raise UsageError(f"adapter.width={self.width}: it must be a multiple of adapter.heads={self.heads}")


AdapterConfig = LinearConfig | LowRankConfig | MLPConfig | QueryConfig

ADAPTERS = {"linear": LinearConfig, "lowrank": LowRankConfig, "mlp": MLPConfig, "query": QueryConfig}
"""The schema of each ``adapter=``."""
