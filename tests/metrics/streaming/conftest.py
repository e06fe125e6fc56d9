from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import strategies as st


@dataclass(frozen=True)
class Sharding:
    """Which rows come in which batch, to which worker: in any order, with empty batches and batches of one row."""

    order: np.ndarray
    sizes: tuple[int, ...]
    workers: int

    def batches(self):
        cuts = np.minimum(np.cumsum(self.sizes), len(self.order))
        return np.split(self.order, cuts)

    def stream(self, make, *columns, **keywords):
        """One metric a worker, fed its batches; then merged in a tree."""
        metrics = [make() for _ in range(self.workers)]
        for i, rows in enumerate(self.batches()):
            given = {name: values[rows] for name, values in keywords.items()}
            metrics[i % self.workers].update(*(values[rows] for values in columns), **given)
        while len(metrics) > 1:
            for one, other in zip(metrics[::2], metrics[1::2], strict=False):
                other.merge_state(one)
            metrics = metrics[1::2] + metrics[len(metrics) - len(metrics) % 2 :]
        return metrics[0]


@pytest.fixture(scope="session")
def shardings():
    def of(n):
        return st.builds(
            lambda seed, backwards, sizes, workers: Sharding(
                np.arange(n)[::-1] if backwards else np.random.default_rng(seed).permutation(n), tuple(sizes), workers
            ),
            st.integers(0, 1000),
            st.booleans(),
            st.lists(st.sampled_from([0, 1, 1, 2, 5, 17, 60]), min_size=1, max_size=12),
            st.integers(1, 5),
        )

    return of


@pytest.fixture(scope="session")
def in_order():
    """The rows as they stand, in batches of one size, on one worker."""
    return lambda n, size: Sharding(np.arange(n), (size,) * (n // size), 1)
