"""The base of adapters trained by gradient descent: standardised rows inside, raw units outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from foresight_cli.adapters.adapter import Adapter

if TYPE_CHECKING:
    from foresight_cli.config import TrainedConfig


class StandardizedAdapter(Adapter):
    """An adapter that scales each source column to mean 0 and variance 1.

    Inputs are cut at twice the farthest training value of their column.
    The target is scaled by one number, its root mean variance: a loss over separately scaled features would give a
    feature that hardly varies the same weight as one that carries the picture.
    """

    x_mean: torch.Tensor
    x_scale: torch.Tensor
    reach: torch.Tensor
    y_mean: torch.Tensor
    y_scale: torch.Tensor

    def __init__(self, source_dim: int, target_dim: int, config: TrainedConfig, **shape: int) -> None:
        super().__init__(source_dim, target_dim, config, **shape)
        self.register_buffer("x_mean", torch.zeros(source_dim))
        self.register_buffer("x_scale", torch.ones(source_dim))
        self.register_buffer("reach", torch.zeros(source_dim))
        self.register_buffer("y_mean", torch.zeros(target_dim))
        self.register_buffer("y_scale", torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict target latents ``[n, target_dim]``."""
        self.check_input(x)
        centred = (x.to(self.x_mean.dtype) - self.x_mean).clamp(-self.reach, self.reach)
        return self.standard(centred / self.x_scale).to(self.y_mean.dtype) * self.y_scale + self.y_mean

    def standard(self, z: torch.Tensor) -> torch.Tensor:
        """Predict the scaled target ``[n, target_dim]`` from standardised rows ``z [n, source_dim]``."""
        raise NotImplementedError

    def standardize(
        self,
        x_mean: torch.Tensor,
        x_scale: torch.Tensor,
        reach: torch.Tensor,
        y_mean: torch.Tensor,
        y_scale: torch.Tensor,
    ) -> None:
        """Set means and scales of the training rows: three of ``[source_dim]``, one ``[target_dim]``, one number."""
        self.x_mean.copy_(x_mean)
        self.x_scale.copy_(x_scale)
        self.reach.copy_(reach)
        self.y_mean.copy_(y_mean)
        self.y_scale.copy_(y_scale)
