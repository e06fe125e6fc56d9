"""``adapter=lowrank``: reduced-rank regression in closed form, a linear map through a narrow middle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from foresight_cli.adapters.adapter import Adapter

if TYPE_CHECKING:
    from foresight_cli.config import LowRankConfig


class LowRankAdapter(Adapter):
    """``y = clamp(x - mean) A B + b`` with A ``[source_dim, rank]`` and B ``[rank, target_dim]``.

    Of all maps of that rank, this is the nearest to the ridge map on the training rows: the ridge map followed by the
    projection on the first principal components of its fitted values.

    Source: Izenman 1975; Mukherjee and Zhu 2011 for the ridge penalty.
    """

    mean: torch.Tensor
    reach: torch.Tensor

    def __init__(self, source_dim: int, target_dim: int, config: LowRankConfig, *, rank: int) -> None:
        super().__init__(source_dim, target_dim, config, rank=rank)
        self.register_buffer("mean", torch.zeros(source_dim))
        self.register_buffer("reach", torch.zeros(source_dim))
        self.encoder = nn.Parameter(torch.zeros(source_dim, rank))
        self.decoder = nn.Parameter(torch.zeros(rank, target_dim))
        self.bias = nn.Parameter(torch.zeros(target_dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict target latents ``[n, target_dim]``."""
        self.check_input(x)
        centred = (x.to(self.encoder.dtype) - self.mean).clamp(-self.reach, self.reach)
        return centred @ self.encoder @ self.decoder + self.bias

    def take(
        self, mean: torch.Tensor, reach: torch.Tensor, encoder: torch.Tensor, decoder: torch.Tensor, bias: torch.Tensor
    ) -> None:
        """Set the parameters; A and B are ``encoder`` and ``decoder``."""
        with torch.no_grad():
            self.mean.copy_(mean)
            self.reach.copy_(reach)
            self.encoder.copy_(encoder)
            self.decoder.copy_(decoder)
            self.bias.copy_(bias)
