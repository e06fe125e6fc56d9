"""Run every benchmark and write ``benchmarks/RESULTS.md``."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks import analysis, commands, extraction
from benchmarks.timing import Row

RESULTS = Path(__file__).parent / "RESULTS.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each way; the median counts")
    runs = parser.parse_args().runs
    rows = [*extraction.rows(runs), *commands.rows(runs), *analysis.rows(runs)]
    text = report(rows, runs)
    RESULTS.write_text(text, encoding="utf-8")
    print(text)


def report(rows: list[Row], runs: int) -> str:
    packages = ("torch", "transformers", "numpy", "scipy", "scikit-learn")
    lines = [
        "# Benchmarks",
        "",
        f"Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}, commit `{_commit()}`.",
        f"Machine: {_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, " + ", ".join(f"{p} {version(p)}" for p in packages) + ".",
        f"Median of {runs} runs after a warm-up, in turn. Ratios carry over to other machines; seconds do not.",
        "",
        "| what | foresight | compared to | takes | ratio | goal | |",
        "|---|---:|---|---:|---:|---:|---|",
    ]
    for row in rows:
        theirs = "" if row.theirs is None else f"{row.theirs:.3f} {row.unit}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
        goal = f"{'<=' if row.cost or row.ratio is None else '>='} {row.goal:g}{'x' if row.ratio else ' ' + row.unit}"
        state = "met" if row.met else "**missed**"
        note = f"{state}; {row.note}" if row.note else state
        lines.append(
            f"| {row.what} | {row.ours:.3f} {row.unit} | {row.alternative} | {theirs} | {ratio} | {goal} | {note} |"
        )
    lines += ["", "GPU rows: not measured (no GPU on this machine).", ""]
    return "\n".join(lines)


def _commit() -> str:
    asked = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return asked.stdout.strip() or "unknown"


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.exists() else []
    names = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown processor")


if __name__ == "__main__":
    main()
