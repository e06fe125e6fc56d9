"""Fitting of adapters of any kind: in closed form, or by training once for each seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch

from foresight_cli.adapters import Adapter, open_adapter
from foresight_cli.adapters.budget import check_budget, largest_rank
from foresight_cli.adapters.linear import LinearAdapter
from foresight_cli.adapters.lowrank import LowRankAdapter
from foresight_cli.adapters.standardized import StandardizedAdapter
from foresight_cli.config import AdapterConfig, LowRankConfig, TrainedConfig
from foresight_cli.errors import UsageError
from foresight_cli.training.checkpoint import Epoch, TrainingCheckpoint
from foresight_cli.training.closed_form import RidgeMap, rank_path
from foresight_cli.training.loop import train
from foresight_cli.training.pairs import Pairs


@dataclass(frozen=True)
class Parts:
    """Training, validation and test pairs; no group is in two of them.

    Attributes:
        validation_codes: group of each validation row.
    """

    train: Pairs
    validation: Pairs
    test: Pairs
    validation_codes: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fitted:
    """A fitted adapter and its training history, which is empty for a closed form."""

    adapter: Adapter
    seed: int
    epochs: list[Epoch] = field(default_factory=list)
    best: int = 0


@dataclass(frozen=True)
class Kind:
    """The kind of adapter to fit.

    Attributes:
        config: the adapter's settings.
        shape: further arguments of its constructor, except the rank.
        device: device on which it is trained.
    """

    config: AdapterConfig
    shape: dict[str, int]
    device: str

    @property
    def trained(self) -> bool:
        """True if its weights are trained by gradient descent from random ones."""
        return isinstance(self.config, TrainedConfig)

    @property
    def fixed(self) -> bool:
        """True if its size is fixed before it is fitted."""
        return not isinstance(self.config, LowRankConfig) or self.config.rank is not None

    def check(self, dims: tuple[int, int]) -> int:
        """Return the largest number of parameters that it can have, after a check of the budget.

        Raises:
            UsageError: the number is over the budget.
        """
        if isinstance(self.config, LowRankConfig):
            most = largest_rank(self.config, *dims)
            return check_budget(self.config, *dims, rank=self.config.rank or min(most, *dims))
        return check_budget(self.config, *dims, **self.shape)


def fit_closed(kind: Kind, parts: Parts, ridge: RidgeMap) -> Fitted:
    """Fit the adapter in closed form, from the ridge map of the training pairs.

    Raises:
        UsageError: ``adapter.rank`` is larger than the rank of the ridge map.
    """
    dims = parts.train.dims
    if not isinstance(kind.config, LowRankConfig):
        adapter = open_adapter(kind.config, *dims)
        assert isinstance(adapter, LinearAdapter)
        adapter.take(ridge.x_mean, ridge.reach, ridge.weight, ridge.y_mean)
        return Fitted(adapter.eval(), 0)
    path = rank_path(ridge, parts.train, parts.validation)
    most = path.axes.shape[1]
    rank = kind.config.rank or path.smallest(largest_rank(kind.config, *dims), parts.validation_codes)
    if rank > most:
        raise UsageError(f"adapter.rank={rank}: the ridge map of {len(parts.train):,} rows has rank {most}")
    narrow = open_adapter(replace(kind.config, rank=rank), *dims, rank=rank)
    assert isinstance(narrow, LowRankAdapter)
    axes = path.axes[:, :rank]
    narrow.take(ridge.x_mean, ridge.reach, ridge.narrowed(axes), axes.T, ridge.y_mean)
    return Fitted(narrow.eval(), 0)


def fit_trained(
    kind: Kind, parts: Parts, *, seed: int, checkpoint: TrainingCheckpoint, on_epoch: Callable[[Epoch], None]
) -> Fitted:
    """Train the adapter from the random weights of ``seed``; raises the errors of :func:`train`."""
    torch.manual_seed(seed)
    adapter = open_adapter(kind.config, *parts.train.dims, **kind.shape).to(kind.device)
    assert isinstance(adapter, StandardizedAdapter)
    trained = train(adapter, parts.train, parts.validation, seed=seed, checkpoint=checkpoint, on_epoch=on_epoch)
    return Fitted(adapter, seed, trained.epochs, trained.best)


def predicted(adapter: Adapter, x: torch.Tensor) -> torch.Tensor:
    """Return predictions ``[m, d2]`` for raw rows ``x [m, d1]``, in double precision on the CPU."""
    device = next(adapter.parameters()).device
    with torch.no_grad():
        return torch.cat([adapter(rows.float().to(device)).double().cpu() for rows in x.split(1024)])
