"""``model=precomputed``: latents that a file brings, in place of a network."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from foresight_cli.clip import Clip
from foresight_cli.config import PrecomputedConfig
from foresight_cli.errors import ForesightError
from foresight_cli.latent_file import LatentFile, open_latent_file
from foresight_cli.latent_file.fields import options
from foresight_cli.latent_file.file import row_bytes
from foresight_cli.models.model import Prepared, Tap
from foresight_cli.pooling import pool

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)


class Precomputed:
    """The rows of a file, found by sample id; rows that the data does not name are left alone.

    A row is ``[d]`` (one token), ``[tokens, d]``, ``[C, H, W]`` or ``[C, T, H, W]``, and pooled as a network's would
    be. ``flat`` keeps the file's dtype, float64 too, and so its very numbers.
    """

    pads = False

    def __init__(self, config: PrecomputedConfig) -> None:
        self.config = config
        self._row_of: dict[str, int] | None = None

    @cached_property
    def _file(self) -> LatentFile:
        return open_latent_file(self.config.path, id=self.config.id, values=self.config.values)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to tell of the file's columns and parts."""
        return self._file.notes

    def recipe(self, layer: str) -> dict[str, Any]:
        """The file's place changes no number: see :meth:`identity`."""
        return {"name": "precomputed"}

    def identity(self, *, reach_hub: bool) -> dict[str, Any]:
        """The hash of ids and values: a corrected label, or the same latents in another format, are a hit."""
        return {"sha256": self._file.sha256}

    def check_layers(self, layers: Sequence[str]) -> None:
        """There is only ``final``, which the config has checked."""

    def check_files(self) -> None:
        """There are no such files."""

    def check_samples(self, ids: Sequence[str]) -> None:
        """Refuse data of which the file lacks samples, before any is read; rows beyond it are left alone, and counted.

        Raises:
            ForesightError: how many samples have no row, and one of them.
        """
        path, table = self._file.path, self._file.table
        known, wanted = set(table.ids), set(ids)
        if missing := [sample_id for sample_id in ids if sample_id not in known]:
            others = options("id", self._file.other_ids).format(at="model") if self._file.other_ids else ""
            way = f". Its ids may be in another column: add {others}" if others else ""
            raise ForesightError(
                f"{path}: no row for {len(missing)} of {len(ids)} samples, such as {missing[0]!r}; its own ids are "
                f"such as {table.ids[0]!r}. Rows are matched to the data by id: each sample must have one{way}"
            )
        if extra := len(known - wanted):
            log.info("%d of the %d rows of %s match no sample of the data and were skipped", extra, len(known), path)

    def size(self, frames: int) -> None:
        """See :class:`LatentModel`: no weights."""

    def check_weights(self) -> None:
        """See :class:`LatentModel`: no file holds any."""

    def all_layers(self) -> tuple[str, ...]:
        """See :class:`LatentModel`."""
        return ("final",)

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
        """The row of that id; nothing of the picture.

        Raises:
            ForesightError: the row holds what is no float32.
        """
        import torch

        assert self._row_of is not None, "load() first"
        file = self._file
        row = self._row_of[sample_id]
        values = np.array(self._values[row])  # a copy: torch warns of memory that it may not write to
        native = values.astype(values.dtype.newbyteorder("="), copy=False)
        if file.dtype == "bfloat16":
            held = torch.from_numpy(native.view(np.int16)).view(torch.bfloat16)
        else:
            held = torch.from_numpy(native)
        if not held.float().isfinite().all():
            raise ForesightError(
                f"{file.path}: the values of {sample_id!r} are not all finite in float32. Leave such rows out"
            )
        return Prepared(sample_id, {"values": held}, tuple(held.shape))

    def features(self, batch: Sequence[Prepared], taps: Sequence[Tap]) -> dict[Tap, torch.Tensor]:
        """See :class:`LatentModel`."""
        import torch

        values = torch.stack([p.tensors["values"] for p in batch])
        hidden = values.unsqueeze(1) if values.ndim == 2 else values
        return {tap: pool(hidden, tap.pooling) for tap in taps}
