"""``model=precomputed``: latents from a file, in place of a network."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from foresight_cli.config import PrecomputedConfig
from foresight_cli.data.clip import Clip
from foresight_cli.errors import ForesightError, UnusableSample
from foresight_cli.latent_file import LatentFile, open_latent_file
from foresight_cli.latent_file.fields import options
from foresight_cli.latent_file.file import row_bytes
from foresight_cli.models.model import Prepared, Tap
from foresight_cli.models.pooling import pool
from foresight_cli.models.without_checkpoint import WithoutCheckpoint

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)


class UnusableRow(UnusableSample):
    """A sample without a row, or with a row that is not all finite numbers."""

    def __init__(self, message: str, sample_id: str, reason: str) -> None:
        super().__init__(f"{message}. To leave such rows out, add data.on_error=skip", sample_id, reason)
        self.alone = message

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        """Rebuild from the arguments, so that the error comes back from a worker process."""
        return type(self), (self.alone, self.sample_id, self.reason)


class Precomputed(WithoutCheckpoint):
    """The rows of a file, found by sample id; rows that match no sample are not read.

    A row is ``[d]`` (one token), ``[tokens, d]``, ``[C, H, W]`` or ``[C, T, H, W]``, and pooled like a network's.
    ``flat`` keeps the file's dtype, also float64, and so the same numbers.
    """

    def __init__(self, config: PrecomputedConfig) -> None:
        self.config = config
        self._row_of: dict[str, int] | None = None

    @cached_property
    def _file(self) -> LatentFile:
        return open_latent_file(self.config.path, id=self.config.id, values=self.config.values)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the file's columns and parts, to be logged."""
        return self._file.notes

    def recipe(self, layer: str) -> dict[str, Any]:
        """Return the name alone: the file's path changes no number, see :meth:`identity`."""
        return {"name": "precomputed"}

    def identity(self, *, reach_hub: bool) -> dict[str, Any]:
        """Return the hash of ids and values: a corrected label, or the same latents in another format, are a hit."""
        return {"sha256": self._file.sha256}

    @property
    def ids(self) -> Sequence[str]:
        """Ids of the rows of the file."""
        return self._file.table.ids

    def check_samples(self, ids: Sequence[str], *, skip: bool = False) -> None:
        """Refuse data with samples that have no row in the file, before any is read; count rows without a sample.

        Args:
            ids: the samples' ids.
            skip: leave out samples without a row, and count them; at least one must have a row.

        Raises:
            ForesightError: with the number of samples that have no row, and one of them.
        """
        path, table = self._file.path, self._file.table
        in_file, wanted = set(table.ids), set(ids)
        missing = [sample_id for sample_id in ids if sample_id not in in_file]
        if missing and skip and len(missing) < len(ids):
            log.info("%d of %d samples left out: no row in %s", len(missing), len(ids), path)
        elif missing:
            ways = ["Rows are matched to the data by id: each sample must have one"]
            if others := self._columns_with(missing[0]):
                ways.append(f"Its ids may be in another column: add {options('id', others).format(at='model')}")
            if not skip and len(missing) < len(ids):
                ways.append("To leave out those without, add data.on_error=skip")
            raise ForesightError(
                f"{path}: no row for {len(missing)} of {len(ids)} samples, such as {missing[0]!r}; its ids are "
                f"like {table.ids[0]!r}. {'. '.join(ways)}"
            )
        if extra := len(in_file - wanted):
            log.info("%d of the %d rows of %s match no sample of the data and were skipped", extra, len(in_file), path)

    def _columns_with(self, sample_id: str) -> list[str]:
        """Return the other text columns that hold this id, and unique ids."""
        columns = []
        for name in self._file.other_ids:
            with suppress(ForesightError):  # a duplicate id, or a row without one
                if sample_id in open_latent_file(self.config.path, id=name, values=self.config.values).table.ids:
                    columns.append(name)
        return columns

    def row_bytes(self, tap: Tap, frames: int) -> int | None:
        """See :class:`LatentModel`."""
        file = self._file
        channels = file.shape[2] if len(file.shape) == 3 else file.shape[1]
        return 4 * channels if tap.pooling == "channel_mean" else row_bytes(file.shape, file.dtype)

    def load(self, device: str) -> None:
        """Map the values into memory, or read them where the format cannot be mapped."""
        self._values = self._file.values
        self._row_of = {sample_id: row for row, sample_id in enumerate(self._file.table.ids)}

    def prepare(self, clip: Clip, sample_id: str) -> Prepared:
        """Return the row of that id, without the picture.

        Raises:
            UnusableRow: there is none, or it is not all finite in float32.
        """
        import torch

        assert self._row_of is not None, "load() first"
        file = self._file
        row = self._row_of.get(sample_id)
        if row is None:
            raise UnusableRow(f"{file.path} has no row for {sample_id!r}", sample_id, f"no row in {file.path}")
        values = np.array(self._values[row])  # a copy: torch warns about read-only memory
        native = values.astype(values.dtype.newbyteorder("="), copy=False)
        if file.dtype == "bfloat16":
            tensor = torch.from_numpy(native.view(np.int16)).view(torch.bfloat16)
        else:
            tensor = torch.from_numpy(native)
        if not tensor.float().isfinite().all():
            reason = "not all values are finite in float32"
            raise UnusableRow(
                f"{file.path}: the values of {sample_id!r} are not all finite in float32", sample_id, reason
            )
        return Prepared(sample_id, {"values": tensor}, tuple(tensor.shape))

    def features(self, batch: Sequence[Prepared], taps: Sequence[Tap]) -> dict[Tap, torch.Tensor]:
        """See :class:`LatentModel`."""
        import torch

        values = torch.stack([p.tensors["values"] for p in batch])
        hidden = values.unsqueeze(1) if values.ndim == 2 else values
        return {tap: pool(hidden, tap.pooling) for tap in taps}
