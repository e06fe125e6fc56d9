"""The base of all adapters: a small module from raw source latents to raw target latents."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from foresight_cli.errors import ForesightError

if TYPE_CHECKING:
    from foresight_cli.config import AdapterConfig, BudgetConfig


class Adapter(nn.Module):
    """A map from latents ``[n, source_dim]`` to ``[n, target_dim]``, both raw: standardisation is part of it.

    Attributes:
        source_dim: number of values in a source row.
        target_dim: number of values in a target row.
        config: its settings, as in ``conf/adapter/``.
        shape: further numbers that fix its parameters and come from the data, such as the rank of a low-rank map.
    """

    def __init__(self, source_dim: int, target_dim: int, config: BudgetConfig, **shape: int) -> None:
        super().__init__()
        self.source_dim = source_dim
        self.target_dim = target_dim
        self.config = config
        self.shape = shape

    @property
    def parameter_count(self) -> int:
        """Number of learned parameters; the statistics for standardising are not counted."""
        return sum(p.numel() for p in self.parameters())

    def check_input(self, x: torch.Tensor) -> None:
        """Check that latents have the width that the adapter was trained on.

        Raises:
            ForesightError: they have another shape.
        """
        if x.ndim != 2 or x.shape[1] != self.source_dim:
            raise ForesightError(f"latents of shape {list(x.shape)}: this adapter maps [n, {self.source_dim}]")


def open_adapter(config: AdapterConfig, source_dim: int, target_dim: int, **shape: int) -> Adapter:
    """Return an untrained adapter of the kind that ``config`` names.

    ``adapter=mlp``, with its ``MLPConfig``, is the class ``MLPAdapter`` of ``adapters/mlp.py``: no table repeats these
    names.

    Args:
        config: its settings.
        source_dim: number of values in a source row.
        target_dim: number of values in a target row.
        shape: ``rank`` for ``lowrank``; ``source_width`` and ``target_channels`` for ``query``.

    Raises:
        UsageError: the rows cannot be divided into this shape.
    """
    from importlib import import_module

    module = import_module(f"foresight_cli.adapters.{config.name}")
    kind = getattr(module, type(config).__name__.removesuffix("Config") + "Adapter")
    return cast("Adapter", kind(source_dim, target_dim, config, **shape))
