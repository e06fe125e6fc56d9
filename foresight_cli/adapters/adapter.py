"""What every adapter is: a small module from raw source latents to raw target latents, saved as two plain files."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from foresight_cli.config import GROUPS
from foresight_cli.errors import ForesightError
from foresight_cli.latents.atomic import write_atomic

if TYPE_CHECKING:
    from foresight_cli.config import AdapterConfig

FORMAT = 1


class Adapter(nn.Module):
    """Maps latents ``[n, source_dim]`` to ``[n, target_dim]``, both raw: it standardises on the way in and out.

    Attributes:
        source_dim: values a source row.
        target_dim: values a target row.
        config: its settings, as in ``conf/adapter/``.
    """

    def __init__(self, source_dim: int, target_dim: int, config: AdapterConfig) -> None:
        super().__init__()
        self.source_dim = source_dim
        self.target_dim = target_dim
        self.config = config

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


def open_adapter(config: AdapterConfig, source_dim: int, target_dim: int) -> Adapter:
    """An untrained adapter of the kind that ``config`` names."""
    from importlib import import_module

    classes = {"linear": "LinearAdapter", "mlp": "MLPAdapter"}
    module = import_module(f"foresight_cli.adapters.{config.name}")
    adapter: Adapter = getattr(module, classes[config.name])(source_dim, target_dim, config)
    return adapter


def save_adapter(adapter: Adapter, folder: Path, recipes: dict[str, Any]) -> None:
    """Write ``adapter.safetensors`` and ``config.json`` into ``folder``.

    Args:
        adapter: trained.
        folder: where to.
        recipes: ``source`` and ``target``: the cache recipes that it was trained on.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in sorted(adapter.state_dict().items())}
    write_atomic(folder / "adapter.safetensors", save(tensors))
    said = {
        "format": FORMAT,
        "adapter": asdict(adapter.config),
        "source_dim": adapter.source_dim,
        "target_dim": adapter.target_dim,
        "recipes": recipes,
    }
    write_atomic(folder / "config.json", json.dumps(said, indent=1, sort_keys=True).encode())


def load_adapter(folder: str | Path) -> Adapter:
    """The adapter saved in ``folder``, in evaluation mode on the CPU.

    Raises:
        ForesightError: there is none, it is of another format, or its files do not fit together.
    """
    folder = Path(folder)
    folder = folder.parent if folder.name == "adapter.safetensors" else folder
    try:
        said = json.loads((folder / "config.json").read_bytes())
        tensors = load((folder / "adapter.safetensors").read_bytes())
    except FileNotFoundError as error:
        raise ForesightError(f"no adapter in {folder}: {Path(error.filename).name} is missing") from None
    except (OSError, ValueError, SafetensorError) as error:
        raise ForesightError(f"cannot read the adapter in {folder}: {error}") from None
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        raise ForesightError(f"{folder / 'config.json'} is not an adapter of format {FORMAT}")
    try:
        config = GROUPS["adapter"][said["adapter"]["name"]](**said["adapter"])
        adapter = open_adapter(config, int(said["source_dim"]), int(said["target_dim"]))
        adapter.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ForesightError(f"{folder}: config.json and adapter.safetensors do not fit together: {reason}") from None
    return adapter.eval()
