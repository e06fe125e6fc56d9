"""Run every benchmark and write ``benchmarks/RESULTS.md``."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from benchmarks import adapters, analysis, commands, extraction, scaling
from benchmarks.machine import described
from benchmarks.timing import Row

RESULTS = Path(__file__).parent / "RESULTS.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each way; the median counts")
    runs = parser.parse_args().runs
    rows = [*extraction.rows(runs), *commands.rows(runs), *analysis.rows(runs), *adapters.rows(runs)]
    text = report(rows, runs, scaling.section())
    RESULTS.write_text(text, encoding="utf-8")
    print(text)


def report(rows: list[Row], runs: int, more: list[str]) -> str:
    lines = [
        "# Benchmarks",
        "",
        f"Written by `make bench`. {described()}",
        f"Median of {runs} runs after a warm-up, in turn; rows of many seconds ran once. "
        "Ratios carry over to other machines; seconds do not.",
        "",
        "| what | foresight | compared to | takes | ratio | goal | |",
        "|---|---:|---|---:|---:|---:|---|",
    ]
    for row in rows:
        if math.isnan(row.ours):
            lines.append(f"| {row.what} | not measured | {row.alternative} | | | | {row.note} |")
            continue
        theirs = "" if row.theirs is None else f"{row.theirs:.3f} {row.unit}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
        goal = f"{'<=' if row.cost or row.ratio is None else '>='} {row.goal:g}{'x' if row.ratio else ' ' + row.unit}"
        state = "met" if row.met else "**missed**"
        note = f"{state}; {row.note}" if row.note else state
        lines.append(
            f"| {row.what} | {row.ours:.3f} {row.unit} | {row.alternative} | {theirs} | {ratio} | {goal} | {note} |"
        )
    lines += ["", "GPU rows: not measured (no GPU on this machine).", "", *more]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
