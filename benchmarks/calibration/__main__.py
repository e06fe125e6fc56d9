"""Run the simulations and write ``benchmarks/CALIBRATION.md``; outcomes are kept, and a second run resumes."""

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
"""By n: numbers of data sets of a scenario without a bridge, and of another scenario."""
ROUND = {100: 20, 300: 5, 1000: 1}
"""By n: number of data sets per round; large ones take longer."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__)
    parser.add_argument("--kept", type=Path, default=Path("outputs/calibration.jsonl"), help="outcomes, a line each")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes, of one thread each")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no new data set after this time")
    parser.add_argument("--table-only", action="store_true", help="only write the table of the kept outcomes")
    arguments = parser.parse_args()
    arguments.kept.parent.mkdir(parents=True, exist_ok=True)
    if not arguments.table_only:
        simulate(arguments.kept, arguments.workers, arguments.minutes)
    outcomes = [json.loads(line) for line in arguments.kept.read_text().splitlines()]
    RESULTS.write_text(table(outcomes, scenarios(), PERMUTATIONS, described()), encoding="utf-8")
    print(RESULTS.read_text())


def simulate(kept: Path, workers: int, minutes: float) -> None:
    """Append one line for each data set that is not in the file yet."""
    done = {tuple(json.loads(line)["key"]) for line in kept.read_text().splitlines()} if kept.exists() else set()
    todo = [key for key in _keys() if key not in done]
    end = time.monotonic() + 60 * minutes
    # After hours of allocating and freeing matrices, memory fragmentation takes gigabytes: replace processes often.
    with get_context("spawn").Pool(workers, _one_thread, maxtasksperchild=20) as pool, kept.open("a") as file:
        for outcome in pool.imap(_outcome, ((key, end) for key in todo)):
            if outcome is not None:
                file.write(json.dumps(outcome) + "\n")
                file.flush()


def _keys() -> Iterator[tuple[str, int, int]]:
    """Yield scenario, n and seed, in rounds over all scenarios and n, so that a partial run has some of each."""
    for turn in range(max(max(counts) for counts in RUNS.values())):
        for n, counts in RUNS.items():
            each = ROUND[n]
            for scenario in scenarios():
                most = counts[scenario.truth != "no"]
                for seed in range(min(turn * each, most), min((turn + 1) * each, most)):
                    yield scenario.name, n, seed


def _outcome(task: tuple[tuple[str, int, int], float]) -> dict[str, object] | None:
    key, end = task
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
