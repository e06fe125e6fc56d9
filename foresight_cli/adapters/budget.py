"""The number of parameters of an adapter, counted before it is made and checked against the budget."""

from __future__ import annotations

from dataclasses import replace

import torch

from foresight_cli.adapters.adapter import open_adapter
from foresight_cli.config import AdapterConfig, LinearConfig, LowRankConfig, MLPConfig
from foresight_cli.errors import UsageError


def parameters_of(config: AdapterConfig, source_dim: int, target_dim: int, **shape: int) -> int:
    """Count the parameters of an adapter without allocating them."""
    with torch.device("meta"):
        return open_adapter(config, source_dim, target_dim, **shape).parameter_count


def largest_rank(config: LowRankConfig, source_dim: int, target_dim: int) -> int:
    """Return the largest rank within the budget.

    Raises:
        UsageError: even rank 1 is over the budget.
    """
    rank = (config.max_parameters - target_dim) // (source_dim + target_dim)
    if rank < 1:
        check_budget(replace(config, rank=1), source_dim, target_dim, rank=1)
    return rank


class OverBudget(UsageError):
    """An adapter has more parameters than its budget.

    Attributes:
        words: overrides that bring it within the budget.
    """

    def __init__(self, message: str, words: list[str]) -> None:
        super().__init__(message)
        self.words = words


def check_budget(config: AdapterConfig, source_dim: int, target_dim: int, **shape: int) -> int:
    """Return the number of parameters that the adapter will have, after a check of the budget.

    Raises:
        OverBudget: there are more than ``adapter.max_parameters``; the message has a size that fits.
    """
    count = parameters_of(config, source_dim, target_dim, **shape)
    if count <= config.max_parameters:
        return count
    raise OverBudget(
        f"adapter={config.name} from {source_dim:,} to {target_dim:,} values has {count:,} parameters, over "
        f"adapter.max_parameters={config.max_parameters:,}. {_advice(config, source_dim, target_dim, count)}",
        _within(config, source_dim, target_dim) or [f"adapter.max_parameters={count}"],
    )


def fitting(config: MLPConfig, source_dim: int, target_dim: int) -> list[str]:
    """Return the words to add to the command line so that the adapter is within its budget; none if it already is."""
    if parameters_of(config, source_dim, target_dim) <= config.max_parameters:
        return []
    smallest = source_dim + 2 * target_dim  # rank 1
    if config.max_parameters < smallest:
        return ["adapter=lowrank", "adapter.rank=1", f"adapter.max_parameters={smallest}"]
    hidden = _hidden_within(config, source_dim, target_dim)
    return [f"adapter.hidden={hidden}"] if hidden else ["adapter=lowrank"]


def _within(config: AdapterConfig, source_dim: int, target_dim: int) -> list[str]:
    """Return the words that bring a closed-form adapter or an MLP within its budget; none for other kinds."""
    if isinstance(config, MLPConfig):
        return fitting(config, source_dim, target_dim)
    if not isinstance(config, LinearConfig | LowRankConfig):
        return []
    smallest = source_dim + 2 * target_dim  # rank 1
    if config.max_parameters < smallest:
        return ["adapter=lowrank", "adapter.rank=1", f"adapter.max_parameters={smallest}"]
    rank = (config.max_parameters - target_dim) // (source_dim + target_dim)
    return ["adapter=lowrank", f"adapter.rank={rank}"]


def _hidden_within(config: MLPConfig, source_dim: int, target_dim: int) -> int:
    """Halve the hidden width until the adapter is within its budget; return 0 if no width is small enough."""
    hidden = config.hidden
    while hidden:
        if parameters_of(replace(config, hidden=hidden), source_dim, target_dim) <= config.max_parameters:
            return hidden
        hidden //= 2
    return 0


def _advice(config: AdapterConfig, source_dim: int, target_dim: int, count: int) -> str:
    if not isinstance(config, LinearConfig | LowRankConfig | MLPConfig):
        return f"Raise it to adapter.max_parameters={count}"
    smallest = source_dim + 2 * target_dim  # rank 1
    if config.max_parameters < smallest:
        return f"The smallest, adapter=lowrank adapter.rank=1, has {smallest:,}: raise adapter.max_parameters="
    rank = (config.max_parameters - target_dim) // (source_dim + target_dim)
    if isinstance(config, MLPConfig) and (hidden := _hidden_within(config, source_dim, target_dim)):
        return f"Take adapter.hidden={hidden}, or raise adapter.max_parameters="
    if not isinstance(config, MLPConfig):
        less = " or less" if rank > 1 else ""
        return f"Take adapter=lowrank adapter.rank={rank}{less}, or raise adapter.max_parameters="
    return "Take adapter=lowrank, or raise adapter.max_parameters="
