"""Adapters, by the names of ``conf/adapter/``: small modules that map source latents to target latents."""

from foresight_cli.adapters.adapter import Adapter, open_adapter
from foresight_cli.adapters.publishing import check_push, push_adapter
from foresight_cli.adapters.saving import load_adapter, save_adapter

__all__ = ["Adapter", "check_push", "load_adapter", "open_adapter", "push_adapter", "save_adapter"]
