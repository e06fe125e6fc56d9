"""Models, by the names of ``conf/model/``."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from foresight_cli.models.model import LatentModel, Prepared, Tap

if TYPE_CHECKING:
    from foresight_cli.config import ModelConfig

__all__ = ["LatentModel", "Prepared", "Tap", "open_model"]


def open_model(config: ModelConfig) -> LatentModel:
    """The model that ``config`` describes, its weights not yet read."""
    from importlib import import_module

    classes = {"qwen25vl": "Qwen25VL", "ltxv": "LTXV", "pixels": "Pixels", "histogram": "Histogram"}
    module = import_module(f"foresight_cli.models.{config.name}")
    return cast("LatentModel", getattr(module, classes[config.name])(config))
