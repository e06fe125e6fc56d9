from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import strategies as st


@dataclass(frozen=True)
class Sharding:
    """The batch and the worker of each row: in any order, with empty batches and batches of one row."""

    order: np.ndarray
    sizes: tuple[int, ...]
    workers: int

    def batches(self):
        cuts = np.minimum(np.cumsum(self.sizes), len(self.order))
        return np.split(self.order, cuts)

    def stream(self, make, *columns, **keywords):
        """Make one metric per worker, update it with its batches, and merge all in a tree."""
        metrics = [make() for _ in range(self.workers)]
        for i, rows in enumerate(self.batches()):
            options = {name: values[rows] for name, values in keywords.items()}
            metrics[i % self.workers].update(*(values[rows] for values in columns), **options)
        while len(metrics) > 1:
            for left, right in zip(metrics[::2], metrics[1::2], strict=False):
                right.merge_state(left)
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
    """Return a function that gives the rows in order, in batches of one size, on one worker."""
    return lambda n, size: Sharding(np.arange(n), (size,) * (n // size), 1)
