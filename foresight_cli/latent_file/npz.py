"""``.npz``: arrays of ids, values, maybe labels and groups; other arrays of one number per row are attributes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from foresight_cli.latent_file.columns import Columns, check_names
from foresight_cli.latent_file.conversions import npz_line, npz_text_line
from foresight_cli.latent_file.fields import Field, Naming, no_ids, roles_of
from foresight_cli.latent_file.file import LatentFile, check_values, latent_file, reading
from foresight_cli.latent_file.npy import array_header


def read_npz(path: Path, naming: Naming) -> LatentFile:
    """Open a ``.npz``, see :func:`open_latent_file`. The values are read whole: an archive cannot be memory-mapped."""
    with _opened(path) as archive:
        fields: dict[str, Field] = {}
        for file in archive.namelist():
            with archive.open(file) as member:
                fields[file.removesuffix(".npy")] = Field(*array_header(member))
        roles = roles_of(path, fields, naming)
        first = fields[roles.values[0]]
        shape, dtype = stacked(first.shape, [np.dtype(fields[name].dtype) for name in roles.values])
        check_values(path, shape, dtype.name, partial(npz_line, path, roles.values[0], dtype))
        if roles.ids is None:
            raise no_ids(path, fields, naming)
        for role, name in {"ids": roles.ids, **roles.names}.items():
            line = npz_text_line(path, [roles.ids, *roles.names.values()])
            check_names(path, role, fields[name].shape, fields[name].dtype, shape[0], line)
        columns = Columns(
            _array(archive, roles.ids),
            **{role: _array(archive, name) for role, name in roles.names.items()},
            attributes={name: _array(archive, name) for name in roles.attributes},
        )
    read = partial(_values, path, roles.values)
    return latent_file(path, shape, dtype.name, columns, read, roles.about(path))


def stacked(shape: Sequence[int], dtypes: Sequence[np.dtype]) -> tuple[tuple[int, ...], np.dtype]:
    """Return shape and dtype of the values: of one array, or of columns of one number each side by side."""
    return (tuple(shape) if len(dtypes) == 1 else (shape[0], len(dtypes))), np.result_type(*dtypes)


def _values(path: Path, names: Sequence[str]) -> np.ndarray:
    with _opened(path) as archive:
        if len(names) == 1:
            return _array(archive, names[0])
        return np.column_stack([_array(archive, name) for name in names])


def _array(archive: ZipFile, name: str) -> np.ndarray:
    """Read an array; not by ``numpy.load``, which leaves a damaged archive open and may skip its checksum."""
    with archive.open(f"{name}.npy") as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
        if member.read(1):
            raise ValueError("more bytes than the array has")
    return array


@contextmanager
def _opened(path: Path) -> Iterator[ZipFile]:
    faults = (ValueError, EOFError, KeyError, NotImplementedError, BadZipFile, zlib.error)
    with reading(path, *faults), ZipFile(path) as archive:
        yield archive
