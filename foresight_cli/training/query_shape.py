"""Division of a row of ``pooling=flat`` into tokens or into a grid, by the model that made it."""

from __future__ import annotations

from foresight_cli.config import ModelConfig, PrecomputedConfig, QueryConfig, SpaceConfig
from foresight_cli.errors import ForesightError, UsageError
from foresight_cli.models import Tap, open_model


def query_shape(config: QueryConfig, source: SpaceConfig, target: SpaceConfig) -> dict[str, int]:
    """Return the shape arguments of ``adapter=query``: width and order of the source's tokens and target's channels.

    Raises:
        UsageError: the target is pooled, so it has no places; or neither a model nor a setting gives the width.
    """
    if target.poolings != ("flat",):
        raise UsageError(
            "adapter=query gives each place of the target a query: add target.pooling=flat (or pooling=flat)"
        )
    return {
        "source_width": config.source_width or _channels(source, "source", "source_width"),
        "source_channels_first": int(_channels_first(source.model)),
        "target_channels": config.target_channels or _channels(target, "target", "target_channels"),
        "target_channels_first": int(_channels_first(target.model)),
    }


def _channels_first(model: ModelConfig) -> bool:
    if isinstance(model, PrecomputedConfig):
        return len(getattr(open_model(model), "shape", ())) != 3  # three dimensions are [n, tokens, d]
    return not model.tokens_first


def _channels(space: SpaceConfig, side: str, key: str) -> int:
    try:
        size = open_model(space.model).row_bytes(Tap((space.layers or ("final",))[0], "channel_mean"), 1)
    except ForesightError:
        size = None
    if not size:
        raise UsageError(
            f"adapter=query: {side}={space.model.name} does not say how wide a token is: give adapter.{key}="
        )
    return size // 4  # channel_mean is float32
