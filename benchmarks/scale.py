"""A million rows: `foresight analyze` over made-up latents in shards, against what the disk and the processor allow.

Run by ``make bench-scale``; takes 8 GB of disk, which it gives back, and half an hour on two cores.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.machine import described
from benchmarks.made_latents import SOURCE, TARGET, make
from foresight_cli.latents import Entry
from foresight_cli.results import Analysis, load_results

RESULT = Path(__file__).parent / "SCALE.md"
SIZES = (10_000, 50_000, 100_000, 1_000_000)
DRAWN = 2000
GOALS = {"share": 0.5, "memory_gb": 4.0}
WORDS = ("weights=tiny", "layer=final", "pooling=channel_mean", "source.pooling=channel_mean", f"max_rows={DRAWN}",
         "permutations=199")  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One analysis: seconds in all and with the drawn rows alone, peak memory in GB, results."""

    rows: int
    seconds: float
    drawn_seconds: float
    memory_gb: float
    results: Analysis

    @property
    def rows_per_second(self) -> float:
        """Of the pass over every row alone."""
        return self.rows / (self.seconds - self.drawn_seconds)


def analyze(cache: Path, *more: str) -> tuple[float, float, Analysis]:
    """Seconds, peak memory in GB and results of ``foresight analyze`` in a process of its own."""
    folder = cache / "run"
    shutil.rmtree(folder, ignore_errors=True)
    words = ["analyze", f"cache_dir={cache}", f"hydra.run.dir={folder}", *WORDS, *more]
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "foresight_cli", *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    if status:
        raise SystemExit(f"foresight analyze failed over {cache}")
    results = load_results(folder / "results.yaml")
    assert isinstance(results, Analysis)
    return seconds, usage.ru_maxrss / 1e6, results


def measure(cache: Path, rows: int) -> Run:
    """Both analyses of ``rows`` rows: with the pass over every row, and without."""
    seconds, memory, results = analyze(cache)
    drawn, _, _ = analyze(cache, "every_row=false")
    return Run(rows, seconds, drawn, memory, results)


def product_limit() -> float:
    """Rows a second if every multiplication of the sums ran at the speed of a square float32 product."""
    a, b = (torch.randn(2048, SOURCE) for _ in range(2))
    a.T @ b
    begin = time.perf_counter()
    for _ in range(5):
        a.T @ b
    flops = 5 * 2 * 2048 * SOURCE**2 / (time.perf_counter() - begin)
    return flops / (2 * (SOURCE**2 + SOURCE * TARGET + TARGET**2))


def disk_limit(entries: tuple[Entry, Entry]) -> float:
    """Rows a second that the disk gives, the system's own cache emptied of the files first."""
    files = [file for entry in entries for file in entry.shard_files().values()][:60]
    size = 0
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    begin = time.perf_counter()
    for file in files:
        size += len(file.read_bytes())
    return size / (time.perf_counter() - begin) / (2 * (SOURCE + TARGET))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("outputs/bench-scale"), help="where the latents are made")
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    asked = parser.parse_args()
    runs, disk = [], float("inf")
    for rows in asked.rows:
        cache = asked.folder / str(rows)
        try:
            entries = make(cache, rows)
            disk = min(disk, disk_limit(entries)) if rows == max(asked.rows) else disk
            runs.append(measure(cache, rows))
        finally:
            shutil.rmtree(cache, ignore_errors=True)
    RESULT.write_text(table(runs, product_limit(), disk), encoding="utf-8")
    print(RESULT.read_text(encoding="utf-8"))


def table(runs: list[Run], product: float, disk: float) -> str:
    """Markdown."""
    limit = min(product, disk)
    lines = [
        "# A million rows",
        "",
        f"Written by `make bench-scale`. {SOURCE} and {TARGET} columns in bfloat16, shards of 4,096 rows, {DRAWN} rows "
        "drawn for the verdict; the pass over every row gives R², CKA and both spectra. Each ran once.",
        "",
        described(),
        "",
        f"Limits: a float32 product allows {product:,.0f} rows/s (counted as full products in one precision lower than "
        f"ours), the disk {disk:,.0f} rows/s. The lower one binds.",
        "",
        "| rows | whole command | without the pass | rows/s of the pass | share of the limit | peak memory | R² every "
        "row | R² drawn | CKA every row | CKA drawn |",
        "|---:|---:|---:|---:|---:|---:|---:|---|---:|---|",
    ]
    for run in runs:
        pair, whole = run.results.chosen_pair, run.results.whole
        assert whole is not None
        lines.append(
            f"| {run.rows:,} | {run.seconds:.0f} s | {run.drawn_seconds:.0f} s | {run.rows_per_second:,.0f} | "
            f"{run.rows_per_second / limit:.0%} | {run.memory_gb:.2f} GB | {whole.r2.value:.4f} | "
            f"[{pair.r2.low:.3f}, {pair.r2.high:.3f}] | {whole.cka:.4f} | [{pair.cka.low:.3f}, {pair.cka.high:.3f}] |"
        )
    last = runs[-1]
    share, memory = last.rows_per_second / limit, last.memory_gb
    lines += [
        "",
        f"- Share of the limit at {last.rows:,} rows: {share:.0%}, goal {GOALS['share']:.0%}: "
        f"{'met' if share >= GOALS['share'] else '**missed**'}.",
        f"- Peak memory at {last.rows:,} rows: {memory:.2f} GB, goal under {GOALS['memory_gb']:g} GB: "
        f"{'met' if memory < GOALS['memory_gb'] else '**missed**'}.",
        "- The pass ends with a few dozen Cholesky decompositions, whatever the number of rows: at 10,000 rows they "
        "are most of it.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
