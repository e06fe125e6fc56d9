"""``data=precomputed``: the samples that a file of latents lists. They have no pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from foresight_cli.data.clip import Clip
from foresight_cli.data.dataset import Sample
from foresight_cli.data.left_alone import LeftAlone
from foresight_cli.errors import UsageError
from foresight_cli.latent_file import open_latent_file


class Precomputed:
    """The rows of a file of latents, in its order; see :func:`open_latent_file` for its formats."""

    def __init__(self, path: str | Path, *, id: str | None = None, values: str | None = None) -> None:
        """Read all but the values; for ``id`` and ``values`` see :func:`open_latent_file`.

        Raises:
            ForesightError: there is no such file, or something in it cannot be used.
        """
        if not path:
            raise UsageError("data.path is needed: add data.path=X.npz, a file of latents")
        file = open_latent_file(path, id=id, values=values, at="data")
        self.notes = file.notes
        table = file.table
        numbers = {name: column.tolist() for name, column in table.attributes.items()}
        self.samples: Sequence[Sample] = [
            Sample(
                id=table.ids[row],
                label=table.labels[row],
                group=table.groups[row],
                attributes={name: column[row] for name, column in numbers.items() if not math.isnan(column[row])},
            )
            for row in range(len(table.ids))
        ]
        self.left_alone = LeftAlone()
        self._sha256 = file.ids_sha256  # the file itself is not kept: worker processes receive this dataset

    def clip(self, index: int) -> Clip:
        """Return no frames, only the sample's id."""
        return Clip(frames=(), name=self.samples[index].id)

    def identity(self) -> dict[str, Any]:
        """Return the count and a hash of the ids in order: files with the same ids are the same data."""
        return {"name": "precomputed", "count": len(self.samples), "sha256": self._sha256}
