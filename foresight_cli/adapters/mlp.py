"""``adapter=mlp``: a small multilayer perceptron."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

from foresight_cli.adapters.adapter import Adapter
from foresight_cli.metrics.ridge import REACH, column_scale
from foresight_cli.metrics.validation import centre

if TYPE_CHECKING:
    from foresight_cli.config import MLPConfig


class MLPAdapter(Adapter):
    """Standardise, ``layers`` hidden layers of GELU with dropout, scale back.

    The target is scaled by one number, its root mean variance: a loss over scaled features would weigh a feature that
    hardly varies as much as one that carries the picture.
    """

    x_mean: torch.Tensor
    x_scale: torch.Tensor
    reach: torch.Tensor
    y_mean: torch.Tensor
    y_scale: torch.Tensor

    def __init__(self, source_dim: int, target_dim: int, config: MLPConfig) -> None:
        super().__init__(source_dim, target_dim, config)
        self.register_buffer("x_mean", torch.zeros(source_dim))
        self.register_buffer("x_scale", torch.ones(source_dim))
        self.register_buffer("reach", torch.zeros(source_dim))
        self.register_buffer("y_mean", torch.zeros(target_dim))
        self.register_buffer("y_scale", torch.ones(()))
        widths = [source_dim, *[config.hidden] * config.layers]
        blocks: list[nn.Module] = []
        for before, after in pairwise(widths):
            blocks += [nn.Linear(before, after), nn.GELU(), nn.Dropout(config.dropout)]
        self.network = nn.Sequential(*blocks, nn.Linear(widths[-1], target_dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predicted target latents ``[n, target_dim]``; inputs count up to twice as far as any training row lay."""
        self.check_input(x)
        centred = (x.to(self.x_mean.dtype) - self.x_mean).clamp(-self.reach, self.reach)
        predicted: torch.Tensor = self.network(centred / self.x_scale)
        return predicted * self.y_scale + self.y_mean

    def standardize(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """Take means and scales from training rows ``x [n, source_dim]`` and ``y [n, target_dim]``."""
        centred = centre(x.double())
        self.x_mean.copy_(x.double().mean(dim=0))
        self.x_scale.copy_(column_scale(centred))
        self.reach.copy_(REACH * centred.abs().amax(dim=0))
        self.y_mean.copy_(y.double().mean(dim=0))
        self.y_scale.copy_(y.double().var(dim=0, correction=0).mean().sqrt().clamp_min(1e-12))
