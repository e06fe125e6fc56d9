import numpy as np
import pytest
import torch

from foresight_cli.training.pairs import moments
from tests.training.stored import drawn, in_memory, on_disk


@pytest.fixture(params=["memory", "disk"])
def pairs(request, tmp_path):
    x, y = drawn(n=100)
    return in_memory(x, y) if request.param == "memory" else on_disk(tmp_path, x, y)


def test_batches_come_in_the_order_asked(pairs):
    x, y = drawn(n=100)
    order = torch.randperm(100, generator=torch.Generator().manual_seed(0))
    batches = list(pairs.batches(order, 32))
    assert [len(rows) for rows, _ in batches] == [32, 32, 32, 4]
    assert torch.equal(torch.cat([rows for rows, _ in batches]), x[order])
    assert torch.equal(torch.cat([rows for _, rows in batches]), y[order])


def test_parts_and_mismatched_pairs(pairs):
    x, y = drawn(n=100)
    part = pairs.part(torch.tensor([5, 50, 7]))
    assert all(torch.equal(a, b) for a, b in zip(part[torch.tensor([2, 0])], (x[[7, 5]], y[[7, 5]]), strict=True))
    wrong = part.mismatched(torch.tensor([1, 2, 0]))
    assert torch.equal(wrong[torch.arange(3)][0], x[[5, 50, 7]])
    assert torch.equal(wrong[torch.arange(3)][1], y[[50, 7, 5]])


def test_moments_of_blocks(pairs, monkeypatch):
    monkeypatch.setattr("foresight_cli.training.pairs.BLOCK_BYTES", 8 * 19 * 17)  # 17 rows a block
    for side, rows in zip(moments(pairs.blocks()), drawn(n=100), strict=True):
        values = rows.double().numpy()
        np.testing.assert_allclose(side.mean, values.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(side.variance, values.var(axis=0), rtol=1e-12)
        np.testing.assert_allclose(side.farthest, np.abs(values - values.mean(axis=0)).max(axis=0), rtol=1e-12)


def test_moments_behind_a_huge_offset_and_of_constant_columns():
    x = torch.randn(500, 2, dtype=torch.float64) + 1e9
    x[:, 1] = 1e9 + 1 / 3
    side, _ = moments(in_memory(x, x).blocks())
    assert float(side.variance[0]) == pytest.approx(float((x[:, 0] - 1e9).var(correction=0)), rel=1e-9)
    assert float(side.variance[1]) == 0
