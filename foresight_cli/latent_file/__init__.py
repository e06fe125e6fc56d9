"""Files of latents that other programs wrote: ids, values, and labels, groups and attributes of each row."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

from foresight_cli.errors import ForesightError
from foresight_cli.latent_file.conversions import other_kind_line
from foresight_cli.latent_file.fields import Naming, Undecided
from foresight_cli.latent_file.file import LatentFile, reading

__all__ = ["LatentFile", "Undecided", "open_latent_file"]

FORMATS = ("npz", "npy", "safetensors", "parquet")


def open_latent_file(
    path: str | Path, *, id: str | None = None, values: str | None = None, at: str = "model"
) -> LatentFile:
    """Open a file, a folder or a pattern of parts; all is checked except the values, which are read on first use.

    Args:
        path: ``X.npz``, ``X.npy`` (with ``X.csv`` beside it), ``X.safetensors`` or ``X.parquet``; a folder of such
            parts, or a pattern (``emb/*.parquet``, ``emb/part-{0..9}.npz``).
        id: name of the column of ids; None for the column with a usual name.
        values: name of the column of values, or a pattern of columns of one number each; None for ``values``, or the
            only column of vectors.
        at: name of the settings in messages: ``model`` or ``data``.

    Raises:
        ForesightError: the file does not exist, is damaged, or holds something that cannot be used.
        Undecided: only the user can say which column holds the ids or the values.
    """
    naming = Naming(id, values, at)
    file = Path(path).expanduser()
    if not file.exists() or file.is_dir():
        from foresight_cli.latent_file import parts  # imported late: most latents are one file

        if file.is_dir():
            files, notes = parts.files_of_folder(file, naming)
            return _joined(file, files, naming, notes)
        if parts.is_pattern(str(path)):
            return _joined(file, parts.files_of_pattern(str(path), at), naming, ())
    return _opened(file, naming)


def _opened(file: Path, naming: Naming) -> LatentFile:
    wanted = f"{naming.at}.path= takes .npz, .npy, .safetensors or .parquet, a folder of them, or a pattern"
    if not file.is_file():
        raise ForesightError(f"no file {str(file)!r}; {wanted}")
    name = file.suffix.lower().removeprefix(".")
    if name not in FORMATS:
        line = other_kind_line(file)
        remedy = f". Type: {line}" if line else ""
        raise ForesightError(f"{str(file)!r} is of another kind; {wanted}{remedy}")
    module = import_module(f"foresight_cli.latent_file.{name}")
    read = cast("Callable[[Path, Naming], LatentFile]", getattr(module, f"read_{name}"))
    with reading(file):
        return read(file, naming)


def _joined(path: Path, files: list[Path], naming: Naming, notes: tuple[str, ...]) -> LatentFile:
    from foresight_cli.latent_file.parted import joined

    own = naming if files[0].suffix.lower() != ".npy" else Naming(naming.id, None, naming.at)
    return joined(path, [_opened(file, own) for file in files], notes)
