"""``.npz``: arrays ``ids`` and ``values``, maybe ``labels`` and ``groups``; each other array is an attribute."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from foresight_cli.errors import ForesightError
from foresight_cli.latent_file.columns import check_column, meant
from foresight_cli.latent_file.file import LatentFile, check_values, latent_file, reading
from foresight_cli.latent_file.npy import array_header


def read_npz(path: Path) -> LatentFile:
    """See :func:`open_latent_file`. The values are read whole: an archive cannot be mapped into memory."""
    with _opened(path) as archive:
        headers = {}
        for file in archive.namelist():
            with archive.open(file) as member:
                headers[file.removesuffix(".npy")] = array_header(member)
        if "values" not in headers:
            raise ForesightError(f"{path}: nothing named 'values' among {sorted(headers)}")
        shape, dtype = headers.pop("values")
        check_values(path, shape, dtype.name)
        for name, means in meant(path, headers).items():
            check_column(path, means, *headers[name], shape[0])
        columns = {name: _array(archive, name) for name in headers}
    return latent_file(path, shape, dtype.name, columns, lambda: _values(path))


def _values(path: Path) -> np.ndarray:
    with _opened(path) as archive:
        return _array(archive, "values")


def _array(archive: ZipFile, name: str) -> np.ndarray:
    """By hand, for ``numpy.load`` leaves a damaged archive open, and may stop short of its checksum."""
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
