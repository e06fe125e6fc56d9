"""Choice of the device to run on."""

from __future__ import annotations

import os
from pathlib import Path

from foresight_cli.errors import ForesightError, first_line

GPU_NODES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Device nodes that the drivers of NVIDIA, AMD and WSL create on Linux."""


def has_gpu() -> bool:
    """Check whether torch can use a GPU. Without a device node of a driver, the answer is no and needs no torch."""
    import sys

    if sys.platform == "linux" and not any(Path(node).exists() for node in GPU_NODES):
        return False
    import torch

    return torch.cuda.is_available()


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_device(name: str) -> str:
    """Return ``name``, or for ``auto`` a GPU if there is one.

    Raises:
        ForesightError: torch cannot use the device on this machine.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ForesightError(f"device={name} cannot be used: {first_line(error)}") from None
    return name
