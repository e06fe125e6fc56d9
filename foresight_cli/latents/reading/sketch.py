"""Random projection of rows on the disk to a few columns, for the search of near-duplicates."""

from __future__ import annotations

import torch

COLUMNS = 64
SAMPLE = 1000


class Sketch:
    """Random projection of rows that are added shard by shard, and an unchanged sample of the rows.

    It keeps squared distances to about 20 %. Rows of no more than 64 columns are kept as they are.

    Source: W. Johnson, J. Lindenstrauss, "Extensions of Lipschitz mappings into a Hilbert space", 1984.

    Attributes:
        bad: numbers of the rows that are not finite.
    """

    def __init__(self, rows: int) -> None:
        """Expect ``rows`` rows in total."""
        self.bad: list[int] = []
        self._every = -(-rows // SAMPLE)
        self._seen = 0
        self._parts: list[torch.Tensor] = []
        self._some: list[torch.Tensor] = []
        self._origin = self._projection = torch.empty(0)

    def add(self, rows: torch.Tensor) -> None:
        """Add the next rows ``[n, d]``."""
        values = rows.float()
        bad = (~torch.isfinite(values).all(dim=1)).nonzero().flatten()
        self.bad += (self._seen + bad).tolist()
        self._some.append(values[-self._seen % self._every :: self._every].clone())
        columns = rows.shape[1]
        if columns > COLUMNS:
            if not self._parts:
                self._projection = torch.randn(columns, COLUMNS, generator=torch.Generator().manual_seed(0))
                self._origin = values[0].nan_to_num()  # far from zero, rounding would swamp the distances
            values = (values - self._origin) @ self._projection
        self._parts.append(values)
        self._seen += len(rows)

    def sample(self) -> torch.Tensor:
        """Return about 1,000 of the rows unchanged, ``[s, d]`` float32."""
        return torch.cat(self._some)

    def rows(self) -> torch.Tensor:
        """Return all projected rows, ``[n, min(64, d)]`` float32, and free them here."""
        parts, self._parts = self._parts, []
        return torch.cat(parts)
