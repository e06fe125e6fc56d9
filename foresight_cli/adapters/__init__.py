"""Adapters, by the names of ``conf/adapter/``: small modules that carry source latents to target latents."""

from foresight_cli.adapters.adapter import Adapter, load_adapter, open_adapter, save_adapter

__all__ = ["Adapter", "load_adapter", "open_adapter", "save_adapter"]
