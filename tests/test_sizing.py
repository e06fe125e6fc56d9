"""The sizing of a cluster, against numbers computed by hand."""

from __future__ import annotations

import pytest

from benchmarks.sizing import Costs, Machines, driver_bytes, hours, table

COSTS = Costs(gpu=100, core=50, picture=100_000, row=40_000, network=2e9, sealing=1e9, adding=5000, sample=400)


def test_each_part_separately():
    parts = hours(7_200_000, COSTS, Machines(gpus=10, gpus_a_node=8, cores_a_gpu=4, start=180))
    assert parts == pytest.approx(
        {
            "start": 0.05,
            "GPUs": 2.0,  # 1,000 a second
            "decoding": 1.0,  # 40 cores, 2,000 a second
            "network": 7_200_000 * 140_000 / 4e9 / 3600,  # two nodes
            "sealing": 7_200_000 * 40_000 / 1e9 / 3600,
            "analysis": 0.4,
        }
    )
    assert driver_bytes(10**8, COSTS) == 4e10


def test_the_table_names_the_bottleneck():
    lines = [line.split(" | ") for line in table(COSTS, Machines(80), memory=64e9)[2:]]
    assert [line[0] for line in lines] == [f"| 10^{k}" for k in range(4, 10)]
    assert lines[0][-1] == "start |"  # three minutes, against a second on the GPUs
    assert lines[2][-1] == "analysis |"  # 200 s on one machine, against 125 s
    assert lines[5][-1] == "analysis; the list does not fit in 64 GB |"
    assert lines[5][1] == "40 TB"
