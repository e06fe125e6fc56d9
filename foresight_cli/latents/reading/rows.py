"""Random access to the rows of a cache entry on the disk, for entries larger than memory."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.latents.reading.loading import Latents, described
from foresight_cli.latents.storage import read_cache
from foresight_cli.latents.storage.remote import is_remote
from foresight_cli.latents.store import Entry

OPEN_FILES = 400


class RowReader:
    """The latents ``[n, d]`` of a complete entry, on the disk.

    The constructor reads every shard once, one at a time, and checks its bytes against the hash in its name. After that
    only the rows asked for are read, at their offset in their file, by ``pread``: nothing stays in memory.

    Args:
        entry: a complete entry.
        on_shard: called with the latents ``[n, d]`` of each shard as it is read.

    Attributes:
        shape: rows and columns.
        dtype: the dtype they are stored in.
        latents: ids, labels, groups, attributes and pixel hashes of each row; its ``values`` are empty, ``[n, 0]``.

    Raises:
        ForesightError: the entry is not complete, or a shard is damaged.
    """

    def __init__(self, entry: Entry, on_shard: Callable[[torch.Tensor], None] = lambda rows: None) -> None:
        self._files: list[Path] = []
        self._open: dict[int, int] = {}
        ids: list[str] = []
        starts, files, pixels = [], [], []
        width: int | None = None
        for path, shard in entry.located():
            if not shard.ids:
                continue
            width, self.dtype = shard.latents.shape[1], shard.latents.dtype
            row_bytes = width * shard.latents.element_size()
            starts.append(_latents_at(self._on_disk(path)) + row_bytes * np.arange(len(shard.ids), dtype=np.int64))
            files.append(np.full(len(shard.ids), len(self._files)))
            self._files.append(path)
            ids += shard.ids
            pixels.append(shard.pixels)
            on_shard(shard.latents)
        if width is None:
            raise ForesightError(f"{entry.path} holds no rows: every sample was skipped")
        self._start, self._file, self._row_bytes = np.concatenate(starts), np.concatenate(files), row_bytes
        self.shape = (len(ids), width)
        self.latents: Latents = described(entry, ids, torch.empty(len(ids), 0), torch.cat(pixels))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the latents ``[m, d]`` of ``rows`` ``[m]``, in that order; neighbours on the disk are read at once."""
        order, runs = self._runs(rows)
        if not runs:
            return torch.empty(0, self.shape[1], dtype=self.dtype)
        data = np.empty(len(rows) * self._row_bytes, dtype=np.uint8)
        self._read(runs, data.data)
        read = torch.from_numpy(data).view(self.dtype).view(len(rows), self.shape[1])
        back = torch.empty(len(rows), dtype=torch.long)
        back[torch.from_numpy(order)] = torch.arange(len(rows))
        return read[back]

    def places(self, ids: Sequence[str]) -> list[int]:
        """Return the row numbers of the samples ``ids``.

        Raises:
            ForesightError: one of them is not in the entry.
        """
        if list(ids) == list(self.latents.ids):
            return list(range(len(self)))
        row_of = {sample_id: i for i, sample_id in enumerate(self.latents.ids)}
        if missing := [sample for sample in ids if sample not in row_of]:
            raise ForesightError(
                f"{self._files[0].parent} lacks {len(missing)} samples, for instance {missing[0]!r}. Extract both on "
                "the same data"
            )
        return [row_of[sample] for sample in ids]

    def take(self, rows: Sequence[int]) -> Latents:
        """Return ``rows`` with their latents, in that order."""
        index = torch.as_tensor(list(rows), dtype=torch.long)
        return replace(self.latents.take(rows), values=self[index])

    def expect(self, rows: torch.Tensor) -> None:
        """Advise the system to read ``rows`` ahead, while other rows are being processed."""
        if hasattr(os, "posix_fadvise"):
            for file, offset, size in self._runs(rows)[1]:
                os.posix_fadvise(self._descriptor(file), offset, size, os.POSIX_FADV_WILLNEED)

    def _runs(self, rows: torch.Tensor) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
        """Return the order of ``rows`` on the disk, and what to read: (file, offset, bytes)."""
        wanted = rows.numpy()
        order = np.argsort(self._file[wanted] * self.shape[0] + wanted, kind="stable")
        offset, file = self._start[wanted[order]], self._file[wanted[order]]
        breaks = (np.diff(file) != 0) | (np.diff(offset) != self._row_bytes)
        first = np.flatnonzero(np.concatenate([[True], breaks]))[: len(wanted)]
        size = self._row_bytes * np.diff(first, append=len(wanted))
        return order, list(zip(file[first].tolist(), offset[first].tolist(), size.tolist(), strict=True))

    def _read(self, runs: list[tuple[int, int, int]], into: memoryview) -> None:
        """Fill ``into`` from ``runs`` of (file, offset, bytes), with one system call each: a batch has many."""
        end = 0
        for file, offset, size in runs:
            start, end = end, end + size
            path = self._files[file]
            try:
                read = os.preadv(self._descriptor(file), [into[start:end]], offset)
            except OSError as error:
                raise ForesightError(f"cannot read {path}: {error.strerror or error}") from None
            if read != size:
                raise ForesightError(f"{path} became shorter while it was being read: run the same extract again")

    def _descriptor(self, file: int) -> int:
        descriptor = self._open.get(file)
        if descriptor is None:
            if len(self._open) >= OPEN_FILES:
                os.close(self._open.pop(next(iter(self._open))))
            path = self._on_disk(self._files[file])
            try:
                descriptor = self._open[file] = os.open(path, os.O_RDONLY)
            except OSError as error:
                raise ForesightError(f"cannot read {path}: {error.strerror or error}") from None
        return descriptor

    def _on_disk(self, path: Path) -> Path:
        """Return the local path of the shard ``path``; a remote shard is fetched again if its copy was deleted."""
        if not is_remote(path):
            return path
        digest = path.name.split(".")[1]
        kept = read_cache.place(digest)
        if not kept.exists():
            read_cache.fetch(path, digest)
        return kept

    def __del__(self) -> None:
        for descriptor in getattr(self, "_open", {}).values():
            os.close(descriptor)


def load_some(entry: Entry, ids: Sequence[str]) -> Latents:
    """Return the rows of a complete entry for the samples ``ids``, in that order, with no other rows in memory.

    Raises:
        ForesightError: the entry is not complete, a shard is damaged, or a sample is not in it.
    """
    reader = RowReader(entry)
    return reader.take(reader.places(ids))


def _latents_at(path: Path) -> int:
    """Return the offset of the tensor ``latents`` in a safetensors file: after 8 bytes of length and the header."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    return 8 + length + int(header["latents"]["data_offsets"][0])
