"""``adapter=mlp``: a small multilayer perceptron."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from foresight_cli.adapters.standardized import StandardizedAdapter

if TYPE_CHECKING:
    from foresight_cli.config import MLPConfig


class MLPAdapter(StandardizedAdapter):
    """``layers`` hidden layers of GELU with dropout.

    A layer after the first may be ``expansion`` times wider inside, and may add its input to its output (``residual``).

    Number of parameters, with s = source_dim, t = target_dim, h = hidden and e = expansion:
    ``(s + 1) * h + (h + 1) * t``, and for each layer after the first ``(h + 1) * h``, or, with e > 1,
    ``(h + 1) * e * h + (e * h + 1) * h``.
    """

    def __init__(self, source_dim: int, target_dim: int, config: MLPConfig) -> None:
        super().__init__(source_dim, target_dim, config)
        further = [_Block(config) for _ in range(config.layers - 1)]
        first = [nn.Linear(source_dim, config.hidden), nn.GELU(), nn.Dropout(config.dropout)]
        self.network = nn.Sequential(*first, *further, nn.Linear(config.hidden, target_dim))

    def standard(self, z: torch.Tensor) -> torch.Tensor:
        """Predict the standardised target from the standardised source; see `StandardizedAdapter.standard`."""
        predicted: torch.Tensor = self.network(z)
        return predicted


class _Block(nn.Module):
    """A hidden layer from ``hidden`` values to ``hidden`` values."""

    def __init__(self, config: MLPConfig) -> None:
        super().__init__()
        inside = config.hidden * config.expansion
        self.layers = nn.Sequential(nn.Linear(config.hidden, inside), nn.GELU(), nn.Dropout(config.dropout))
        if config.expansion > 1:
            self.layers.append(nn.Linear(inside, config.hidden))
        self.residual = config.residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        layered: torch.Tensor = self.layers(x)
        return x + layered if self.residual else layered
