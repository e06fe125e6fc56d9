"""Pooling of a hidden state to one vector, against closed forms."""

from __future__ import annotations

import pytest
import torch

from foresight_cli.models.pooling import pool


def counted(*shape: int) -> torch.Tensor:
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float32).view(shape)


def test_channel_mean_of_tokens():
    assert pool(counted(2, 3, 4), "channel_mean").tolist() == [[4, 5, 6, 7], [16, 17, 18, 19]]


def test_channel_mean_of_a_grid():
    assert pool(counted(2, 3, 1, 2, 2), "channel_mean").tolist() == [[1.5, 5.5, 9.5], [13.5, 17.5, 21.5]]


def test_channel_mean_of_a_clip_is_over_time_too():
    assert pool(counted(1, 2, 2, 1, 2), "channel_mean").tolist() == [[1.5, 5.5]]


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 1, 2, 2)])
def test_flat_keeps_every_value_in_order(shape):
    hidden = counted(*shape)
    assert torch.equal(pool(hidden, "flat"), hidden.reshape(2, -1))


def test_channel_mean_accumulates_half_precision_in_float32():
    hidden = torch.full((1, 4096, 1), 1.001).bfloat16()
    assert pool(hidden, "channel_mean").dtype == torch.float32
    assert pool(hidden, "channel_mean").item() == hidden[0, 0, 0].item()
    assert pool(torch.full((1, 70000, 1), 2.0).half(), "channel_mean").item() == 2.0  # the sum overflows float16


def test_flat_keeps_the_dtype_of_the_network():
    assert pool(counted(1, 2, 2).bfloat16(), "flat").dtype == torch.bfloat16
