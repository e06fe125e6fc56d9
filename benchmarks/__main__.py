"""Run the benchmarks and write ``benchmarks/RESULTS.md``, one section each; ``--only`` keeps the other sections."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from pathlib import Path

from benchmarks import adapters, analysis, commands, extraction, scaling
from benchmarks.machine import described
from benchmarks.timing import Row

RESULTS = Path(__file__).parent / "RESULTS.md"
HEAD = """# Benchmarks

Written by `make bench`. Each number is the median after a warm-up, both sides timed in turn; rows of many seconds ran
once. Ratios are similar on other machines; seconds are not. GPU rows: not measured (no GPU on this machine).
"""
SECTIONS: dict[str, tuple[str, Callable[[int], list[str]]]] = {
    "extraction": ("Extraction", lambda runs: table(extraction.rows(runs))),
    "commands": ("Whole commands", lambda runs: table(commands.rows(runs))),
    "analysis": ("Analysis", lambda runs: table(analysis.rows(runs))),
    "adapters": ("Adapters", lambda runs: table(adapters.rows(runs))),
    "scaling": ("Cost against n", lambda runs: scaling.section()),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each side; the median is reported")
    parser.add_argument("--only", choices=SECTIONS, action="append", help="run only this section; may be repeated")
    arguments = parser.parse_args()
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    kept = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    for name, (title, measured) in SECTIONS.items():
        if arguments.only is None or name in arguments.only:
            stamp = [described(), f"Median of {arguments.runs} runs."]
            kept[title] = "\n".join(["", *stamp, "", *measured(arguments.runs), ""])
            sections = [f"## {title}\n{kept[title].rstrip()}\n" for title, _ in SECTIONS.values() if title in kept]
            RESULTS.write_text(
                "\n".join([HEAD, *sections]), encoding="utf-8"
            )  # after each section, so that none is lost
    print(RESULTS.read_text(encoding="utf-8"))


def table(rows: list[Row]) -> list[str]:
    """Return the rows as a Markdown table."""
    lines = [
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
    return lines


if __name__ == "__main__":
    main()
