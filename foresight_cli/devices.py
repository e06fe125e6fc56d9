"""Which device to run on."""

from __future__ import annotations

from foresight_cli.errors import ForesightError


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
