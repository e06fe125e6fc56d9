"""Which device to run on."""

from __future__ import annotations

from pathlib import Path

from foresight_cli.errors import ForesightError

GPU_NODES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""What the drivers of NVIDIA, AMD and WSL put there on Linux."""


def has_gpu() -> bool:
    """Whether torch can use a GPU. Where no driver has made its device node, torch is not imported to say no."""
    import sys

    if sys.platform == "linux" and not any(Path(node).exists() for node in GPU_NODES):
        return False
    import torch

    return torch.cuda.is_available()


def usable_device(name: str) -> str:
    """``name`` itself, or for ``auto`` a GPU if there is one.

    Raises:
        ForesightError: torch cannot use the device on this machine.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ForesightError(f"device={name} cannot be used: {str(error).splitlines()[0]}") from None
    return name
