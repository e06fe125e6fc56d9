"""The methods that models without a checkpoint share: no files, one layer, and nothing to check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class WithoutCheckpoint:
    """Base of a :class:`LatentModel` that reads no weights; subclasses add ``recipe``, ``row_bytes`` and features."""

    pads = False

    def identity(self, *, reach_hub: bool) -> dict[str, Any]:
        """Return {}: there is no checkpoint."""
        return {}

    def check_layers(self, layers: Sequence[str]) -> None:
        """Check nothing: the only layer is ``final``, which the config has checked."""

    def check_files(self, *, clips: bool = False) -> None:
        """Check nothing: there are no such files."""

    def size(self, frames: int) -> None:
        """See :class:`LatentModel`: no weights."""

    def check_weights(self) -> None:
        """See :class:`LatentModel`: no file holds any."""

    def all_layers(self) -> tuple[str, ...]:
        """See :class:`LatentModel`."""
        return ("final",)

    def load(self, device: str) -> None:
        """Do nothing: there are no weights."""
