"""A few columns that stand for rows on the disk where near-duplicates are looked for."""

from __future__ import annotations

import torch

COLUMNS = 64
SAMPLE = 1000


class Sketch:
    """A random projection of rows that come shard by shard, and some of the rows as they are.

    It keeps squared distances to about 20 %. Rows of no more than 64 columns are kept as they are.

    Source: W. Johnson, J. Lindenstrauss, "Extensions of Lipschitz mappings into a Hilbert space", 1984.

    Attributes:
        bad: the rows that are not finite, by their number.
    """

    def __init__(self, rows: int) -> None:
        """``rows`` come about."""
        self.bad: list[int] = []
        self._every = -(-rows // SAMPLE)
        self._seen = 0
        self._parts: list[torch.Tensor] = []
        self._some: list[torch.Tensor] = []
        self._origin = self._projection = torch.empty(0)

    def add(self, rows: torch.Tensor) -> None:
        """The next rows ``[n, d]``."""
        values = rows.float()
        bad = (~torch.isfinite(values).all(dim=1)).nonzero().flatten()
        self.bad += (self._seen + bad).tolist()
        self._some.append(values[-self._seen % self._every :: self._every].clone())
        columns = rows.shape[1]
        if columns > COLUMNS:
            if not self._parts:
                self._projection = torch.randn(columns, COLUMNS, generator=torch.Generator().manual_seed(0))
                self._origin = values[0].nan_to_num()  # far from zero, distances would drown in rounding
            values = (values - self._origin) @ self._projection
        self._parts.append(values)
        self._seen += len(rows)

    def sample(self) -> torch.Tensor:
        """About 1,000 of the rows, ``[s, d]`` float32."""
        return torch.cat(self._some)

    def rows(self) -> torch.Tensor:
        """All of them, ``[n, min(64, d)]`` float32; they are given away."""
        parts, self._parts = self._parts, []
        return torch.cat(parts)
