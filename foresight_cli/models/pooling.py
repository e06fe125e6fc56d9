"""Pooling of hidden states to one vector per sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def pool(hidden: torch.Tensor, pooling: str) -> torch.Tensor:
    """Return one vector for each sample of a batch.

    Args:
        hidden: ``[b, tokens, d]`` of a transformer, or ``[b, C, T, H, W]`` of an autoencoder.
        pooling: ``channel_mean`` (over tokens, or over time and space; accumulated and returned in float32) or
            ``flat`` (every value, in order, in the dtype that the network computed).

    Returns:
        ``[b, d]`` or ``[b, C]`` for ``channel_mean``; ``[b, tokens * d]`` or ``[b, C * T * H * W]`` for ``flat``.
    """
    if pooling == "flat":
        return hidden.flatten(1)
    import torch

    axes = (1,) if hidden.ndim == 3 else tuple(range(2, hidden.ndim))
    return hidden.mean(dim=axes, dtype=torch.float32)
