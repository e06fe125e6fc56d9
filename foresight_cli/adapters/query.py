"""``adapter=query``: a learned query for each target place attends to the source's tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from foresight_cli.adapters.standardized import StandardizedAdapter
from foresight_cli.errors import UsageError

if TYPE_CHECKING:
    from foresight_cli.config import QueryConfig


class QueryAdapter(StandardizedAdapter):
    """From ``[tokens, source_width]`` to ``[target_channels, places]``, both flattened as ``pooling=flat`` stores them.

    A transformer's rows are stored token by token, an autoencoder's channel by channel; each may be the source or the
    target.

    Each token is projected to ``width``, and a learned embedding of its place is added; each place of the target has a
    learned query. ``layers`` blocks of cross-attention and a small network follow, as in a Perceiver. A last projection
    gives the channels, and every place has a separate bias.

    Args:
        source_dim: tokens times ``source_width``; one token, if they are equal (``pooling=channel_mean``).
        target_dim: ``target_channels`` times places.
        config: its settings.
        source_width: number of values in a token.
        target_channels: channels of the target's grid.
        source_channels_first: 1 where source rows are stored channel by channel.
        target_channels_first: 1 where target rows are stored channel by channel.

    Raises:
        UsageError: the rows cannot be divided into tokens, or into channels.

    Source: Jaegle et al. 2021 (Perceiver IO); Li et al. 2023 (BLIP-2's Q-Former).
    """

    def __init__(
        self,
        source_dim: int,
        target_dim: int,
        config: QueryConfig,
        *,
        source_width: int,
        target_channels: int,
        source_channels_first: int = 0,
        target_channels_first: int = 1,
    ) -> None:
        for side, dim, part, key in (
            ("source", source_dim, source_width, "source_width"),
            ("target", target_dim, target_channels, "target_channels"),
        ):
            if dim % part:
                raise UsageError(
                    f"adapter=query: {side} rows of {dim} values do not divide by {part}: give adapter.{key}="
                )
        super().__init__(
            source_dim,
            target_dim,
            config,
            source_width=source_width,
            target_channels=target_channels,
            source_channels_first=source_channels_first,
            target_channels_first=target_channels_first,
        )
        tokens, places = source_dim // source_width, target_dim // target_channels
        self.embed = nn.Linear(source_width, config.width)
        self.token_place = nn.Parameter(0.02 * torch.randn(tokens, config.width))
        self.queries = nn.Parameter(0.02 * torch.randn(places, config.width))
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.project = nn.Linear(config.width, target_channels, bias=False)
        self.bias = nn.Parameter(torch.zeros(places, target_channels))

    def standard(self, z: torch.Tensor) -> torch.Tensor:
        """See `StandardizedAdapter.standard`."""
        width = self.shape["source_width"]
        if self.shape["source_channels_first"]:
            grid = z.unflatten(1, (width, -1)).transpose(1, 2)
        else:
            grid = z.unflatten(1, (-1, width))
        tokens = self.embed(grid) + self.token_place
        places = self.queries.expand(len(z), -1, -1)
        for block in self.blocks:
            places = block(places, tokens)
        predicted: torch.Tensor = self.project(self.norm(places)) + self.bias
        return (predicted.transpose(1, 2) if self.shape["target_channels_first"] else predicted).flatten(1)


class _Block(nn.Module):
    """Cross-attention of queries ``[n, places, width]`` to tokens ``[n, tokens, width]``, then a small network."""

    def __init__(self, config: QueryConfig) -> None:
        super().__init__()
        width = config.width
        self.heads, self.dropout = config.heads, config.dropout
        self.ask, self.offer = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.answer = nn.Linear(width, width)
        self.ask_norm, self.offer_norm, self.think_norm = (nn.LayerNorm(width) for _ in range(3))
        self.think = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(4 * width, width)
        )

    def forward(self, places: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        query = self._heads(self.ask(self.ask_norm(places)))
        key, value = (self._heads(part) for part in self.offer(self.offer_norm(tokens)).chunk(2, dim=-1))
        dropped = self.dropout if self.training else 0.0
        attended = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropped)
        places = places + self.answer(attended.transpose(1, 2).flatten(2))
        thought: torch.Tensor = places + self.think(self.think_norm(places))
        return thought

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        headed: torch.Tensor = x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return headed
