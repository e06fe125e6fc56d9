"""Training by gradient descent, stopped early on validation groups; the test rows are never used."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from foresight_cli.adapters.standardized import StandardizedAdapter
from foresight_cli.config import TrainedConfig
from foresight_cli.errors import ForesightError
from foresight_cli.metrics.ridge.ridge import REACH
from foresight_cli.training.checkpoint import Epoch, Tensors, TrainingCheckpoint, TrainingState
from foresight_cli.training.losses import batch_loss
from foresight_cli.training.pairs import ColumnMoments, Pairs, moments

EVALUATED = 1024
"""Rows that go through the adapter at a time when no gradient is computed."""


class Diverged(ForesightError):
    """The loss is not finite any more; the adapter holds the weights of its best epoch, if it had one."""

    def __init__(self, message: str, best: int) -> None:
        super().__init__(message)
        self.best = best


@dataclass(frozen=True)
class Trained:
    """A finished run: its epochs, and the number of the epoch whose weights were kept."""

    epochs: list[Epoch]
    best: int


def train(
    adapter: StandardizedAdapter,
    pairs: Pairs,
    validation: Pairs,
    *,
    seed: int,
    checkpoint: TrainingCheckpoint | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Trained:
    """Train ``adapter`` in place with AdamW and a cosine schedule; the epoch that is best on ``validation`` is kept.

    Args:
        adapter: training runs on its device; on a GPU, products are in bfloat16.
        pairs: rows from which weights and standardisation are learned.
        validation: rows of other groups that determine when to stop.
        seed: seed of the order of batches and of dropout; each epoch derives a separate seed, so that a resumed run
            equals an uninterrupted one.
        checkpoint: written after each epoch; training resumes from it if it exists.
        on_epoch: called after each epoch, and for each epoch of the checkpoint.

    Raises:
        Diverged: the loss is not finite any more.
        ForesightError: the checkpoint cannot be written.
    """
    config = adapter.config
    assert isinstance(config, TrainedConfig)
    device = adapter.x_mean.device
    standardize(adapter, *moments(pairs.blocks()))
    pairs, validation = pairs.on(device), validation.on(device)
    optimizer = torch.optim.AdamW(adapter.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)
    steps = math.ceil(len(pairs) / config.batch_size)
    progress = (checkpoint.load() if checkpoint else None) or TrainingState([], 0, {}, _copied(adapter), {})
    if progress.weights:
        adapter.load_state_dict(progress.weights)
        _restore(optimizer, progress.optimizer)
    for epoch in progress.epochs:
        on_epoch(epoch)
    while len(progress.epochs) < config.epochs and len(progress.epochs) - progress.best < config.patience:
        number = len(progress.epochs) + 1
        loss = _epoch(adapter, pairs, optimizer, config, seed=seed, number=number, steps=steps)
        validation_loss = mean_loss(adapter, validation) if math.isfinite(loss) else math.nan
        if not math.isfinite(validation_loss):
            adapter.load_state_dict(progress.kept)
            raise Diverged(
                f"training diverged in epoch {number}: the loss is {loss:g} with adapter.lr={config.lr:g}. "
                f"Try adapter.lr={config.lr / 10:g}",
                progress.best,
            )
        if validation_loss < min((epoch.validation for epoch in progress.epochs), default=math.inf):
            progress.best, progress.kept = number, _copied(adapter)
        progress.epochs.append(Epoch(number, loss, validation_loss, optimizer.param_groups[0]["lr"]))
        if checkpoint:
            progress.weights, progress.optimizer = _copied(adapter), _tensors(optimizer)
            checkpoint.save(progress)
        on_epoch(progress.epochs[-1])
    adapter.load_state_dict(progress.kept)
    adapter.eval()
    return Trained(progress.epochs, progress.best)


def standardize(adapter: StandardizedAdapter, x: ColumnMoments, y: ColumnMoments) -> None:
    """Set the standardisation of ``adapter`` from the moments of its training rows; a constant column is not scaled."""
    x_scale = torch.where(x.variance > 0, x.variance.sqrt(), 1.0)
    adapter.standardize(x.mean, x_scale, REACH * x.farthest, y.mean, y.variance.mean().sqrt().clamp_min(1e-12))


def mean_loss(adapter: StandardizedAdapter, pairs: Pairs) -> float:
    """Return the squared error on ``pairs`` as a share of the target's training variance; without dropout."""
    adapter.eval()
    total, scale = 0.0, float(adapter.y_scale.square()) * pairs.dims[1]
    device = adapter.x_mean.device
    with torch.no_grad():
        for x, y in pairs.batches(torch.arange(len(pairs)), EVALUATED):
            predicted = adapter(x.to(device).float())
            total += float((predicted - y.to(device).float()).square().sum(dtype=torch.float64))
    return total / (scale * len(pairs))


def _epoch(
    adapter: StandardizedAdapter,
    pairs: Pairs,
    optimizer: torch.optim.Optimizer,
    config: TrainedConfig,
    *,
    seed: int,
    number: int,
    steps: int,
) -> float:
    """Train for one pass over ``pairs`` in a new order, and return the mean loss."""
    device = adapter.x_mean.device
    epoch_seed = (seed * 1_000_003 + number) % 2**63
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(epoch_seed))
    torch.manual_seed(epoch_seed)  # for dropout
    adapter.train()
    total = torch.zeros((), device=device)
    for step, (x, y) in enumerate(pairs.batches(order, config.batch_size), (number - 1) * steps):
        rate = config.lr * (1 + math.cos(math.pi * step / (config.epochs * steps))) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate
        x, y = x.to(device).float(), y.to(device).float()
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            predicted = adapter(x)
        loss = batch_loss(adapter, predicted, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(x)
    return float(total) / len(pairs)


def _copied(adapter: StandardizedAdapter) -> Tensors:
    return {name: value.clone() for name, value in adapter.state_dict().items()}


def _tensors(optimizer: torch.optim.Optimizer) -> Tensors:
    state = optimizer.state_dict()["state"]
    return {f"{i}/{name}": value.clone() for i, values in state.items() for name, value in values.items()}


def _restore(optimizer: torch.optim.Optimizer, tensors: Tensors) -> None:
    fresh = optimizer.state_dict()
    state: dict[int, Tensors] = {}
    for name, value in tensors.items():
        index, _, quantity = name.partition("/")
        state.setdefault(int(index), {})[quantity] = value
    optimizer.load_state_dict({**fresh, "state": state})
