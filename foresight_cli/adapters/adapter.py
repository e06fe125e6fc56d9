"""What every adapter is: a small module from raw source latents to raw target latents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from foresight_cli.errors import ForesightError

if TYPE_CHECKING:
    from foresight_cli.config import AdapterConfig, BudgetConfig


class Adapter(nn.Module):
    """Maps latents ``[n, source_dim]`` to ``[n, target_dim]``, both raw: it standardises on the way in and out.

    Attributes:
        source_dim: values a source row.
        target_dim: values a target row.
        config: its settings, as in ``conf/adapter/``.
        shape: what else fixes its parameters and was found out from the data, as the rank of a low-rank map.
    """

    def __init__(self, source_dim: int, target_dim: int, config: BudgetConfig, **shape: int) -> None:
        super().__init__()
        self.source_dim = source_dim
        self.target_dim = target_dim
        self.config = config
        self.shape = shape

    @property
    def parameter_count(self) -> int:
        """Numbers that are learned; the statistics for standardising are not counted."""
        return sum(p.numel() for p in self.parameters())

    def check_input(self, x: torch.Tensor) -> None:
        """Refuse latents of another width.

        Raises:
            ForesightError: what was given and what the adapter was trained on.
        """
        if x.ndim != 2 or x.shape[1] != self.source_dim:
            raise ForesightError(f"latents of shape {list(x.shape)}: this adapter maps [n, {self.source_dim}]")


def open_adapter(config: AdapterConfig, source_dim: int, target_dim: int, **shape: int) -> Adapter:
    """An untrained adapter of the kind that ``config`` names.

    Args:
        config: its settings.
        source_dim: values a source row.
        target_dim: values a target row.
        shape: ``rank`` of ``lowrank``; ``source_width`` and ``target_channels`` of ``query``.

    Raises:
        UsageError: a shape that does not divide the rows.
    """
    from importlib import import_module

    classes = {"linear": "LinearAdapter", "lowrank": "LowRankAdapter", "mlp": "MLPAdapter", "query": "QueryAdapter"}
    module = import_module(f"foresight_cli.adapters.{config.name}")
    adapter: Adapter = getattr(module, classes[config.name])(source_dim, target_dim, config, **shape)
    return adapter
