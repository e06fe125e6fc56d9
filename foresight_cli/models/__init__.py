"""Models, by the names of ``conf/model/``."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from foresight_cli.models.model import Encoder, LatentModel, Prepared, Tap

if TYPE_CHECKING:
    from foresight_cli.config import ModelConfig

__all__ = ["Encoder", "LatentModel", "Prepared", "Tap", "open_model"]


def open_model(config: ModelConfig) -> LatentModel:
    """Return the model that ``config`` describes, its weights not yet read.

    ``model=ltxv``, with its ``LTXVConfig``, is the class ``LTXV`` of ``models/ltxv.py``: no table repeats these names.
    """
    from importlib import import_module

    module = import_module(f"foresight_cli.models.{config.name}")
    return cast("LatentModel", getattr(module, type(config).__name__.removesuffix("Config"))(config))
