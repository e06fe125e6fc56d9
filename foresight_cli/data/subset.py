"""Some samples of a dataset, as a dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from foresight_cli.data.clip import Clip
from foresight_cli.data.dataset import Dataset, Sample
from foresight_cli.data.left_alone import LeftAlone
from foresight_cli.latents.recipe import ONLY


@dataclass(frozen=True)
class Subset:
    """The samples ``ids`` of ``whole``, in its order."""

    whole: Dataset
    ids: Collection[str]

    @cached_property
    def samples(self) -> Sequence[Sample]:
        """See :class:`Dataset`."""
        return [self.whole.samples[i] for i in self._places]

    @property
    def left_alone(self) -> LeftAlone:
        """See :class:`Dataset`."""
        return self.whole.left_alone

    def clip(self, index: int) -> Clip:
        """See :class:`Dataset`."""
        return self.whole.clip(self._places[index])

    def identity(self) -> dict[str, Any]:
        """Return the identity of the whole, and a hash of the ids."""
        named = "\0".join(sample.id for sample in self.samples).encode()
        return {**self.whole.identity(), ONLY: hashlib.sha256(named).hexdigest()}

    @cached_property
    def _places(self) -> list[int]:
        wanted = set(self.ids)
        return [i for i, sample in enumerate(self.whole.samples) if sample.id in wanted]
