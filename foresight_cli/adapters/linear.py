"""``adapter=linear``: ridge regression in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from foresight_cli.adapters.adapter import Adapter

if TYPE_CHECKING:
    from foresight_cli.config import LinearConfig


class LinearAdapter(Adapter):
    """``y = clamp(x - mean) W + b``; inputs are cut at twice the farthest training value of their column."""

    mean: torch.Tensor
    reach: torch.Tensor

    def __init__(self, source_dim: int, target_dim: int, config: LinearConfig) -> None:
        super().__init__(source_dim, target_dim, config)
        self.register_buffer("mean", torch.zeros(source_dim))
        self.register_buffer("reach", torch.zeros(source_dim))
        self.weight = nn.Parameter(torch.zeros(source_dim, target_dim))
        self.bias = nn.Parameter(torch.zeros(target_dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict target latents ``[n, target_dim]``."""
        self.check_input(x)
        centred = (x.to(self.weight.dtype) - self.mean).clamp(-self.reach, self.reach)
        return centred @ self.weight + self.bias

    def take(self, mean: torch.Tensor, reach: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> None:
        """Set the parameters: ``[source_dim]`` twice, ``[source_dim, target_dim]`` and ``[target_dim]``."""
        with torch.no_grad():
            self.mean.copy_(mean)
            self.reach.copy_(reach)
            self.weight.copy_(weight)
            self.bias.copy_(bias)
