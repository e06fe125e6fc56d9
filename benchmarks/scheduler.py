"""Simulation of the cost of stragglers, failures and spot pre-emption for an extraction.

The rules are those of ``runner=ray``: a worker asks for one shard at a time. If it is lost, so is the shard that it
computes; its replacement reads the model again, and the shard goes to the next free worker.
"""

from __future__ import annotations

import argparse
import heapq
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Cluster:
    """A cluster of workers and its problems.

    Attributes:
        workers: number of workers.
        shard_seconds: time of a shard on a normal worker.
        spread: standard deviation of the logarithm of a shard's time.
        slow_share: share of the workers that are stragglers.
        slow_factor: factor by which stragglers take longer.
        lost_per_hour: losses of a worker per hour (a crash, a spot node taken away).
        start_seconds: time from a worker's loss until its replacement has read the model.
    """

    workers: int
    shard_seconds: float
    spread: float = 0.1
    slow_share: float = 0.0
    slow_factor: float = 3.0
    lost_per_hour: float = 0.0
    start_seconds: float = 180.0


@dataclass(frozen=True)
class Outcome:
    """Wall time in seconds, that of the same cluster without problems, and the share of work done twice."""

    seconds: float
    ideal: float
    wasted: float

    @property
    def efficiency(self) -> float:
        """Share of the ideal speed: 1 if nothing is lost."""
        return self.ideal / self.seconds


def simulate(cluster: Cluster, shards: int, seed: int = 0) -> Outcome:
    """Simulate a cluster until ``shards`` shards are done."""
    rng = np.random.default_rng(seed)
    slow = rng.random(cluster.workers) < cluster.slow_share
    rate = cluster.lost_per_hour / 3600
    lives = rng.exponential(1 / rate, cluster.workers) if rate else np.full(cluster.workers, np.inf)
    # (time at which a worker is free, worker); its life ends at ends[worker]
    free = [(cluster.start_seconds, worker) for worker in range(cluster.workers)]
    ends = cluster.start_seconds + lives
    heapq.heapify(free)
    left, done, wasted, last = shards, 0, 0.0, 0.0
    returned: list[float] = []  # times from which a lost worker's shard may be begun again
    while done < shards:
        now, worker = heapq.heappop(free)
        if not left and not (returned and returned[0] <= now):
            if not returned:
                continue  # no shard is left for this worker; the others are still working
            heapq.heappush(free, (returned[0], worker))
            continue
        if returned and returned[0] <= now:
            heapq.heappop(returned)
        else:
            left -= 1
        takes = cluster.shard_seconds * float(rng.lognormal(0, cluster.spread))
        takes *= cluster.slow_factor if slow[worker] else 1.0
        if now + takes > ends[worker]:
            wasted += max(ends[worker] - now, 0.0)
            heapq.heappush(returned, max(ends[worker], now))
            back = max(ends[worker], now) + cluster.start_seconds
            ends[worker] = back + rng.exponential(1 / rate)
            heapq.heappush(free, (back, worker))
            continue
        done += 1
        last = max(last, now + takes)
        heapq.heappush(free, (now + takes, worker))
    ideal = cluster.start_seconds + -(-shards // cluster.workers) * cluster.shard_seconds
    return Outcome(last, ideal, wasted / (shards * cluster.shard_seconds))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scheduler", description=__doc__)
    parser.add_argument("--shards", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=80)
    parser.add_argument("--shard-seconds", type=float, default=30.0)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    base = {"workers": options.workers, "shard_seconds": options.shard_seconds}
    cases = {
        "nothing goes wrong": Cluster(**base),
        "5 % of the workers are 3x slower": Cluster(**base, slow_share=0.05),
        "20 % of the workers are 3x slower": Cluster(**base, slow_share=0.2),
        "a worker is lost every 24 h": Cluster(**base, lost_per_hour=1 / 24),
        "a worker is lost every hour (spot)": Cluster(**base, lost_per_hour=1.0),
        "a worker is lost every 10 min": Cluster(**base, lost_per_hour=6.0),
        "spot, and 20 % slow": Cluster(**base, lost_per_hour=1.0, slow_share=0.2),
    }
    print(
        f"{options.shards:,} shards of {options.shard_seconds:g} s on {options.workers} workers, "
        f"{options.seeds} seeds\n"
    )
    print("| | hours | efficiency | work done twice |\n|---|---:|---:|---:|")
    for name, cluster in cases.items():
        outcomes = [simulate(cluster, options.shards, seed) for seed in range(options.seeds)]
        hours, efficiency, wasted = (
            float(np.mean([value(outcome) for outcome in outcomes]))
            for value in (lambda each: each.seconds / 3600, lambda each: each.efficiency, lambda each: each.wasted)
        )
        print(f"| {name} | {hours:.2f} | {efficiency:.0%} | {wasted:.2%} |")


if __name__ == "__main__":
    main()
