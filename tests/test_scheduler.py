"""The simulation of the shard scheduler, against cases that can be computed by hand."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.scheduler import Cluster, simulate

PLAIN = Cluster(workers=4, shard_seconds=10.0, spread=0.0, start_seconds=60.0)


@pytest.mark.parametrize(("shards", "rounds"), [(4, 1), (5, 2), (8, 2), (401, 101)])
def test_without_troubles_it_is_rounds_of_shards(shards, rounds):
    result = simulate(PLAIN, shards)
    assert result.seconds == result.ideal == 60.0 + 10.0 * rounds
    assert result.wasted == 0.0


def test_all_workers_slow_take_that_much_longer():
    result = simulate(dataclasses.replace(PLAIN, slow_share=1.0, slow_factor=3.0), 400)
    assert result.seconds == 60.0 + 30.0 * 100


def test_losses_cost_the_expected_time_on_average():
    # A loss costs half a shard and a start; with rate q a second a worker does 1 s of work in 1 + q (5 + 60) s.
    cluster = dataclasses.replace(PLAIN, workers=40, lost_per_hour=6.0)
    result = simulate(cluster, 40_000)
    assert result.seconds / result.ideal == pytest.approx(1 + 6 / 3600 * 65, rel=0.03)
    assert result.wasted == pytest.approx(6 / 3600 * 5, rel=0.1)
