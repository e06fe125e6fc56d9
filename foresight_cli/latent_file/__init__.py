"""A file of latents that someone else has made: ids, values, and what is known of each row."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

from foresight_cli.errors import ForesightError
from foresight_cli.latent_file.file import LatentFile, reading

__all__ = ["LatentFile", "open_latent_file"]

FORMATS = ("npz", "npy", "safetensors", "parquet")


def open_latent_file(path: str | Path) -> LatentFile:
    """What the file says of its rows, all of it checked but for the values themselves: those are read when asked for.

    Args:
        path: ``X.npz``, ``X.npy`` (with ``X.csv`` beside it), ``X.safetensors`` or ``X.parquet``.

    Raises:
        ForesightError: there is no such file, it is damaged, or something in it cannot be used.
    """
    file = Path(path).expanduser()
    wanted = "wanted a file of latents: .npz, .npy, .safetensors or .parquet"
    if file.is_dir():
        raise ForesightError(f"{str(file)!r} is a folder; {wanted}")
    if not file.is_file():
        raise ForesightError(f"no file {str(file)!r}; {wanted}")
    name = file.suffix.lower().removeprefix(".")
    if name not in FORMATS:
        raise ForesightError(f"{str(file)!r} is of another kind; {wanted}")
    module = import_module(f"foresight_cli.latent_file.{name}")
    read = cast("Callable[[Path], LatentFile]", getattr(module, f"read_{name}"))
    with reading(file):
        return read(file)
