"""Training by gradient descent, stopped on validation groups; the test rows never enter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from foresight_cli.adapters.mlp import MLPAdapter
from foresight_cli.config import MLPConfig


@dataclass(frozen=True)
class Epoch:
    """Losses after an epoch, as shares of the target's variance: 1 is what the mean predicts."""

    number: int
    train: float
    validation: float


@dataclass(frozen=True)
class Split:
    """Source and target rows of one part of the data."""

    x: torch.Tensor
    y: torch.Tensor


def train_mlp(
    adapter: MLPAdapter, train: Split, validation: Split, *, seed: int, on_epoch: Callable[[Epoch], None]
) -> tuple[int, int]:
    """Train ``adapter`` in place with AdamW and keep the weights of its best epoch on ``validation``.

    Args:
        adapter: its device is where training runs.
        train: rows that weights and standardisation are learned from.
        validation: rows of other groups that say when to stop.
        seed: of the order of batches and of dropout.
        on_epoch: called after each epoch.

    Returns:
        Epochs run, and the one whose weights were kept.
    """
    config = adapter.config
    assert isinstance(config, MLPConfig)
    device = adapter.x_mean.device
    adapter.standardize(train.x, train.y)
    x, y = train.x.float().to(device), train.y.float().to(device)
    held_x, held_y = validation.x.float().to(device), validation.y.float().to(device)
    optimizer = torch.optim.AdamW(adapter.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    order = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    scale = float(adapter.y_scale.square()) * y.shape[1]
    best, kept, epoch = float("inf"), 0, 0
    weights = {name: value.clone() for name, value in adapter.state_dict().items()}
    for epoch in range(1, config.epochs + 1):
        adapter.train()
        total = 0.0
        for rows in torch.randperm(len(x), generator=order).split(config.batch_size):
            loss = (adapter(x[rows]) - y[rows]).square().sum(dim=1).mean() / scale
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        adapter.eval()
        with torch.no_grad():
            held = float((adapter(held_x) - held_y).square().sum(dim=1).mean() / scale)
        on_epoch(Epoch(epoch, total / len(x), held))
        if held < best:
            best, kept = held, epoch
            weights = {name: value.clone() for name, value in adapter.state_dict().items()}
        elif epoch - kept >= config.patience:
            break
    adapter.load_state_dict(weights)
    adapter.eval()
    return epoch, kept
