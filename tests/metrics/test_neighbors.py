import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors

from foresight_cli.metrics import distances
from foresight_cli.metrics.distances import RowDistances
from foresight_cli.metrics.neighbors import masked_squared, nearest, nearest_neighbors, ranks_of


def space(x):
    return RowDistances(torch.tensor(x), "euclidean", "x")


def test_equal_to_scikit_learn_in_any_tiling(monkeypatch):
    x = np.random.default_rng(0).standard_normal((60, 4))
    expected = NearestNeighbors(n_neighbors=7).fit(x).kneighbors()[1]
    for tile in (1 << 24, 200):
        monkeypatch.setattr(distances, "TILE_NUMBERS", tile)
        neighbors = nearest_neighbors(space(x), 7, np.random.default_rng(0))
        assert np.array_equal(neighbors.indices.numpy(), expected)


def test_duplicates_are_neighbours_and_the_row_itself_is_not():
    x = np.repeat(np.random.default_rng(0).standard_normal((5, 3)), 3, axis=0)
    indices = nearest_neighbors(space(x), 2, np.random.default_rng(0)).indices.numpy()
    for row, neighbors in enumerate(indices):
        assert set(neighbors) == {row // 3 * 3 + j for j in range(3)} - {row}


def test_every_tied_row_is_drawn_and_order_is_kept():
    """Row 0 has one near row, four tied ones and a far one: each tied row is drawn, after the near one."""
    squared = torch.tensor([[torch.inf, 2, 2, 1, 2, 2, 3]], dtype=torch.float64)
    second, ranks = set(), set()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        neighbors = nearest(squared, 2, rng).indices[0].tolist()
        assert neighbors[0] == 3
        second.add(neighbors[1])
        drawn = ranks_of(squared, torch.tensor([[3, 4, 6]]), rng)[0].tolist()
        assert (drawn[0], drawn[2]) == (1, 6)
        ranks.add(drawn[1])
    assert second == {1, 2, 4, 5}
    assert ranks == {2, 3, 4, 5}


def test_ranks_follow_the_sorted_order():
    x = np.random.default_rng(0).standard_normal((20, 3))
    rng = np.random.default_rng(0)
    squared = masked_squared(space(x), torch.arange(20))
    indices = nearest(squared, 19, rng).indices
    assert torch.equal(ranks_of(squared, indices, rng), torch.arange(1, 20).expand(20, 19))
