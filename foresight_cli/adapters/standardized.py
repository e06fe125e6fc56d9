"""What adapters trained by gradient descent share: they see standardised rows, and answer in raw units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from foresight_cli.adapters.adapter import Adapter

if TYPE_CHECKING:
    from foresight_cli.config import TrainedConfig


class StandardizedAdapter(Adapter):
    """Each source column is brought to mean 0 and variance 1; inputs count up to twice as far as any training row lay.

    The target is scaled by one number, its root mean variance: a loss over scaled features would weigh a feature that
    hardly varies as much as one that carries the picture.
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
        """Predicted target latents ``[n, target_dim]``."""
        self.check_input(x)
        centred = (x.to(self.x_mean.dtype) - self.x_mean).clamp(-self.reach, self.reach)
        return self.standard(centred / self.x_scale).to(self.y_mean.dtype) * self.y_scale + self.y_mean

    def standard(self, z: torch.Tensor) -> torch.Tensor:
        """The scaled target ``[n, target_dim]`` of standardised rows ``z [n, source_dim]``."""
        raise NotImplementedError

    def standardize(
        self,
        x_mean: torch.Tensor,
        x_scale: torch.Tensor,
        reach: torch.Tensor,
        y_mean: torch.Tensor,
        y_scale: torch.Tensor,
    ) -> None:
        """Take means and scales, all of the training rows: ``[source_dim]`` thrice, ``[target_dim]``, a number."""
        self.x_mean.copy_(x_mean)
        self.x_scale.copy_(x_scale)
        self.reach.copy_(reach)
        self.y_mean.copy_(y_mean)
        self.y_scale.copy_(y_scale)
