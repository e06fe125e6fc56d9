"""RSA for rows that come in batches, on a sample of rows that depends neither on batches nor on workers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.distances import DISTANCES
from foresight_cli.metrics.rsa import CORRELATIONS, rsa
from foresight_cli.metrics.streaming.stream import Part, StreamingMetric
from foresight_cli.metrics.validation import Matrix, check_choice, check_count

# Indices are stored as float64, which is exact for whole numbers up to here.
_MAX_INDEX = 2**53


class StreamedRSA(NamedTuple):
    """Correlation of distances within a sample of rows.

    Attributes:
        rsa: the correlation.
        standard_error: (1 - rsa^2) / sqrt(pairs) for the choice of pairs, plus 0.5 / sqrt(rows) for that of rows: a
            rule of thumb, on the safe side for rsa near 1.
        rows: number of rows in the sample.
        pairs: number of pairs whose distances were correlated.
    """

    rsa: float
    standard_error: float
    rows: int
    pairs: int


class SamplePart(Part):
    """A sample of rows with their indices, and the number of rows that it was drawn from."""

    @staticmethod
    def shapes(n: int, d1: int, d2: int) -> dict[str, tuple[int, ...]]:
        """Return shapes of the count, the indices and both sides of the n rows kept, in no order."""
        return {"count": (), "index": (n,), "x": (n, d1), "y": (n, d2)}

    @property
    def seen(self) -> int:
        """Number of rows that the sample was drawn from."""
        return int(self["count"])

    def indices(self) -> npt.NDArray[np.int64]:
        """Return the index of each row kept ``[n]``."""
        return self["index"].cpu().numpy().astype(np.int64)

    def grown(self, index: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> SamplePart:
        """Return a sample that also holds these rows."""
        larger = SamplePart.zeros(self.key, self.n + len(index), self.d1, self.d2, self.flat.device)
        larger["count"].copy_(self["count"])
        for name, more in (("index", index), ("x", x), ("y", y)):
            torch.cat([self[name], more], out=larger[name])
        return larger


def row_hash(index: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.uint64]:
    """Return numbers ``[n]`` in whose order rows are drawn, different for different indices.

    Source: the SplitMix64 generator (Steele, Lea and Flood 2014), whose steps can all be undone.

    Example:
        >>> row_hash(np.arange(2), seed=0).tolist()
        [16294208416658607535, 7960286522194355700]
    """
    step = np.uint64(0x9E3779B97F4A7C15)
    z = (index.astype(np.uint64) + np.uint64(1)) * step
    start = np.array([seed], dtype=np.int64).astype(np.uint64) * np.uint64(0xD1342543DE82EF95)
    z = z ^ start
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    hashed: npt.NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return hashed


class RSA(StreamingMetric):
    """Correlation of the distances within x ``[n, d1]`` and within y ``[n, d2]``, whose rows come in batches.

    A distance needs both rows in memory, so a sample is kept: the ``rows`` rows whose hash of seed and index is
    smallest. It is a uniform draw, the same for any order and any split over batches and workers, as long as each row
    comes with its index. ``compute`` is `rsa` of the sample in the order of its indices, over ``matchings`` random
    perfect matchings. Memory is 8 rows (d1 + d2) bytes: 471 MB for 5,000 rows of 3,584 and 8,192.

    Args:
        rows: largest number of rows in the sample.
        matchings: number of random perfect matchings of them, each rows / 2 pairs; None for all pairs.
        distance: as in `rsa`.
        correlation: as in `rsa`.
        seed: seed of the sample and of the matchings.
        **kwargs: arguments of ``torchmetrics.Metric``.

    Raises:
        ForesightError: an option is impossible, a batch invalid, or an index comes twice; at ``compute``, there are
            fewer than 3 rows, or their distances are all equal.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).standard_normal((1000, 8))
        >>> y = x @ np.diag([1, 1, 1, 1, 0, 0, 0, 0])
        >>> first, second = RSA(rows=500), RSA(rows=500)
        >>> first.update(x[:600], y[:600], index=np.arange(600))
        >>> second.update(x[600:], y[600:], index=np.arange(600, 1000))
        >>> first.merge_state(second)
        >>> result = first.compute()
        >>> round(result.rsa, 2), round(result.standard_error, 2), result.rows, result.pairs
        (0.68, 0.03, 500, 5000)
    """

    part = SamplePart

    def __init__(
        self,
        rows: int = 5000,
        matchings: int | None = 20,
        *,
        distance: str = "euclidean",
        correlation: str = "spearman",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        check_count(rows, "rows", low=3, high=1_000_000)
        if matchings is not None:
            check_count(matchings, "matchings", low=1, high=1_000_000)
        check_choice(distance, DISTANCES, "distance")
        check_choice(correlation, CORRELATIONS, "correlation")
        super().__init__({"rows": rows, "seed": seed}, **kwargs)
        self.rows, self.matchings, self.seed = rows, matchings, seed
        self.distance, self.correlation = distance, correlation

    def update(self, x: Matrix, y: Matrix, index: Sequence[int] | Matrix | None = None) -> None:
        """Add the rows ``x [b, d1]`` and ``y [b, d2]``; b may be 0.

        Args:
            x: first rows.
            y: second rows.
            index: the number of each row among those of all workers ``[b]``; None continues from the rows so far, and
                is only for a single worker.

        Raises:
            ForesightError: a batch is invalid or has another width than the rows before, or an index is impossible or
                came before.
        """
        with torch.inference_mode(False), torch.no_grad():
            first, second = (side.double() for side in self._batch(x, y))
            numbers = self._indices(index, len(first))
            if not len(numbers):
                return
            part = self._part_for(0, first.shape[1], second.shape[1])
            assert isinstance(part, SamplePart)
            self.parts = [self._with(part, numbers, first, second, len(numbers)).flat]

    def compute(self) -> StreamedRSA:
        """Return RSA within the sample of all rows so far."""
        self._check_rows(3)
        (part,) = self._merged()
        assert isinstance(part, SamplePart)
        order = part["index"].argsort()
        n = part.n
        pairs = n * (n - 1) // 2
        if self.matchings is not None:
            pairs = min(pairs, max(3, self.matchings * (n // 2)))
        value = rsa(
            part["x"][order],
            part["y"][order],
            distance=self.distance,
            correlation=self.correlation,
            max_pairs=pairs,
            seed=self.seed,
        )
        return StreamedRSA(value, (1 - value**2) / math.sqrt(pairs) + 0.5 / math.sqrt(n), n, pairs)

    def kept(self) -> npt.NDArray[np.int64]:
        """Return the indices of the rows in the sample, ascending."""
        return np.sort(np.concatenate([part.indices() for part in self._merged() if isinstance(part, SamplePart)]))

    def _indices(self, index: Sequence[int] | Matrix | None, rows: int) -> npt.NDArray[np.int64]:
        seen = self.seen
        if index is None:
            return np.arange(seen, seen + rows)
        numbers = np.asarray(index.cpu() if isinstance(index, torch.Tensor) else index).ravel()
        if len(numbers) != rows:
            raise ForesightError(f"index has {len(numbers)} entries for {rows} rows")
        if rows and numbers.dtype.kind not in "iu":
            raise ForesightError(f"index has dtype {numbers.dtype}: wanted whole numbers")
        wrong = np.flatnonzero((numbers < 0) | (numbers >= _MAX_INDEX))
        if len(wrong):
            raise ForesightError(f"index is {numbers[wrong[0]]} in row {seen + wrong[0]}: wanted 0 to 2^53")
        return numbers.astype(np.int64)

    def _merge(self, part: Part, other: Part) -> Part:
        assert isinstance(part, SamplePart)
        assert isinstance(other, SamplePart)
        return self._with(part, other.indices(), other["x"], other["y"], other.seen)

    def _with(
        self, part: SamplePart, index: npt.NDArray[np.int64], x: torch.Tensor, y: torch.Tensor, seen: int
    ) -> SamplePart:
        """Return the sample of the rows in ``part`` and these, out of ``seen`` more rows; may change ``part``."""
        kept = part.indices()
        values, times = np.unique(np.concatenate([kept, index]), return_counts=True)
        if (times > 1).any():
            raise ForesightError(
                f"index {values[times > 1][0]} came twice: give each row its number among all rows of all workers, as "
                "update(x, y, index=...)"
            )
        part["count"].add_(seen)
        order = np.argsort(row_hash(np.concatenate([kept, index]), self.seed))
        drawn, dropped = order[: self.rows], order[self.rows :]
        new = torch.from_numpy(np.sort(drawn[drawn >= len(kept)]) - len(kept)).to(x.device)
        free = torch.from_numpy(np.sort(dropped[dropped < len(kept)])).to(x.device)
        names = (("index", torch.from_numpy(index).to(x)[new]), ("x", x[new]), ("y", y[new]))
        # New rows first replace the rows dropped now; the rest is appended.
        for name, rows in names:
            part[name][free] = rows[: len(free)]
        if len(new) == len(free):
            return part
        return part.grown(*(rows[len(free) :] for _, rows in names))
