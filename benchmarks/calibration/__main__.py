"""Run the simulations and write ``benchmarks/CALIBRATION.md``; what is done is kept, a second run goes on from it."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

from benchmarks.calibration.generators import scenarios
from benchmarks.calibration.simulate import run
from benchmarks.calibration.table import table
from benchmarks.machine import described

RESULTS = Path(__file__).parents[1] / "CALIBRATION.md"
PERMUTATIONS = 199
RUNS = {100: (200, 100), 300: (100, 50), 1000: (60, 20)}
"""By n: data sets of each scenario without a bridge, and of each other one."""
ROUND = {100: 20, 300: 5, 1000: 1}
"""How many of them come at a time: large ones take longer."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__)
    parser.add_argument("--kept", type=Path, default=Path("outputs/calibration.jsonl"), help="outcomes, a line each")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes, of one thread each")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin nothing new after so long")
    parser.add_argument("--table-only", action="store_true", help="write the table of what there is")
    asked = parser.parse_args()
    asked.kept.parent.mkdir(parents=True, exist_ok=True)
    if not asked.table_only:
        simulate(asked.kept, asked.workers, asked.minutes)
    outcomes = [json.loads(line) for line in asked.kept.read_text().splitlines()]
    RESULTS.write_text(table(outcomes, scenarios(), PERMUTATIONS, described()), encoding="utf-8")
    print(RESULTS.read_text())


def simulate(kept: Path, workers: int, minutes: float) -> None:
    """Append one line for each data set that is not there yet."""
    done = {tuple(json.loads(line)["key"]) for line in kept.read_text().splitlines()} if kept.exists() else set()
    todo = [key for key in _keys() if key not in done]
    end = time.monotonic() + 60 * minutes
    # After hours of making and dropping matrices a process holds gigabytes that its allocator keeps in pieces.
    with get_context("spawn").Pool(workers, _one_thread, maxtasksperchild=20) as pool, kept.open("a") as file:
        for outcome in pool.imap(_outcome, ((key, end) for key in todo)):
            if outcome is not None:
                file.write(json.dumps(outcome) + "\n")
                file.flush()


def _keys() -> Iterator[tuple[str, int, int]]:
    """Scenario, n and seed, in rounds of all scenarios at every n: a run that is cut short has some of everything."""
    for turn in range(max(max(counts) for counts in RUNS.values())):
        for n, counts in RUNS.items():
            each = ROUND[n]
            for scenario in scenarios():
                most = counts[scenario.truth != "no"]
                for seed in range(min(turn * each, most), min((turn + 1) * each, most)):
                    yield scenario.name, n, seed


def _outcome(asked: tuple[tuple[str, int, int], float]) -> dict[str, object] | None:
    key, end = asked
    if time.monotonic() > end:
        return None
    name, n, seed = key
    scenario = next(s for s in scenarios() if s.name == name)
    return {"key": key, **asdict(run(scenario, n, seed, PERMUTATIONS))}


def _one_thread() -> None:
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)


if __name__ == "__main__":
    main()
