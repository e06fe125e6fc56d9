"""A million rows: `foresight analyze` over made-up latents in shards, against the limits of disk and processor.

Run by ``make bench-scale``; takes 8 GB of disk (freed at the end), and about half an hour on two cores.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.machine import described
from benchmarks.made_latents import SOURCE, TARGET, make
from foresight_cli.latents import Entry, join, load
from foresight_cli.metrics import linear_cka, linear_probe, pca_dimension
from foresight_cli.results import Analysis, load_results

RESULT = Path(__file__).parent / "SCALE.md"
SIZES = (10_000, 50_000, 1_000_000)
IN_MEMORY = 50_000
"""The size for which the results are also computed from all rows in memory, by the measures that do not stream."""
SHARE, MEMORY_GB, GROWTH = 0.5, 4.0, 1.1
"""Goals: least share of the machine's limit; peak memory; cost of a row of the largest set over one of the smallest."""
WORDS = ("weights=tiny", "layer=final", "pooling=channel_mean", "source.pooling=channel_mean", "permutations=19")
FEWER = 2000
"""Rows drawn for the verdict of all but the largest set, to save time; for the largest, foresight's default."""
PASS_SECONDS = re.compile(r"^every row: read and added up in ([0-9.]+) s", re.M)


@dataclass(frozen=True)
class Run:
    """One analysis.

    Attributes:
        rows: number of rows in the cache.
        seconds: time of the whole command.
        adding: time of the pass over every row, reading included.
        memory_gb: peak resident memory of the process.
        limit: rows per second of a single-precision product, measured just before and after; the faster of the two.
        results: its results.
    """

    rows: int
    seconds: float
    adding: float
    memory_gb: float
    limit: float
    results: Analysis

    @property
    def speed(self) -> float:
        """Rows per second of the pass."""
        return self.rows / self.adding


@dataclass(frozen=True)
class Whole:
    """Results from all rows in memory."""

    cka: float
    r2: float
    dimension: int


def analyze(cache: Path, rows: int, *more: str) -> Run:
    """Run ``foresight analyze`` with :data:`WORDS` and ``more``, in a separate process."""
    folder = cache / "run"
    shutil.rmtree(folder, ignore_errors=True)
    words = ["analyze", f"cache_dir={cache}", f"hydra.run.dir={folder}", *WORDS, *more]
    limit = product_limit()
    with tempfile.TemporaryFile("w+") as output:
        begin, peak = time.perf_counter(), 0.0
        process = subprocess.Popen([sys.executable, "-m", "foresight_cli", *words], stdout=output)
        while process.poll() is None:
            peak = peak_gb(process.pid) or peak
            time.sleep(0.2)
        seconds = time.perf_counter() - begin
        output.seek(0)
        match = PASS_SECONDS.search(output.read())
    if process.returncode or not match:
        raise SystemExit(f"foresight analyze failed over {cache}")
    results = load_results(folder / "results.yaml")
    assert isinstance(results, Analysis)
    limit = max(limit, product_limit())
    return Run(rows, seconds, float(match[1]), peak, limit, results)


def peak_gb(pid: int) -> float | None:
    """Return the peak resident memory of a process so far; ``wait4`` would count that of its parent, if larger."""
    try:
        return int(re.findall(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)[0]) * 1024 / 1e9
    except (OSError, IndexError):  # it has just ended
        return None


def product_limit() -> float:
    """Return rows per second if every product of the sums ran at the speed of a square single-precision one."""
    a, b = (torch.randn(8192, SOURCE) for _ in range(2))
    a.T @ b
    begin = time.perf_counter()
    for _ in range(3):
        a.T @ b
    flops = 3 * 2 * 8192 * SOURCE**2 / (time.perf_counter() - begin)
    return flops / (2 * (SOURCE**2 + SOURCE * TARGET + TARGET**2))


def disk_limit(entries: tuple[Entry, Entry]) -> float:
    """Return rows per second that the disk reads, after the files are dropped from the system's cache."""
    files = [file for entry in entries for file in entry.shard_files().values()][:60]
    size = 0
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    begin = time.perf_counter()
    for file in files:
        size += len(file.read_bytes())
    return size / (time.perf_counter() - begin) / (2 * (SOURCE + TARGET))


def in_memory(cache: Path, rows: int) -> Whole:
    """Return the results of the measures that need all rows at once."""
    x, y = (latents.values.double() for latents in join(*(load(entry) for entry in make(cache, rows))))
    return Whole(linear_cka(x, y), linear_probe(x, y, reach=float("inf")).r2, pca_dimension(x))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("outputs/bench-scale"), help="the folder for the latents")
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    arguments = parser.parse_args()
    runs, disk, whole = [], float("inf"), None
    for rows in sorted(arguments.rows):
        cache = arguments.folder / str(rows)
        try:
            entries = make(cache, rows)
            disk = disk_limit(entries)
            runs.append(analyze(cache, rows, *([f"max_rows={FEWER}"] if rows < max(arguments.rows) else [])))
            whole = in_memory(cache, rows) if rows == IN_MEMORY else whole
        finally:
            shutil.rmtree(cache, ignore_errors=True)
    RESULT.write_text(table(runs, disk, whole), encoding="utf-8")
    print(RESULT.read_text(encoding="utf-8"))


def table(runs: list[Run], disk: float, whole: Whole | None) -> str:
    """Return the page as Markdown."""
    last = runs[-1]
    lines = [
        "# A million rows",
        "",
        f"Written by `make bench-scale`. {SOURCE} and {TARGET} columns in bfloat16, shards of 4,096 rows. "
        f"`foresight analyze {' '.join(WORDS)}`: tests and verdict on drawn rows (5,000 of the largest set, {FEWER:,} "
        "of the others), a pass over every row for R², CKA and both spectra. Each ran once.",
        "",
        described(),
        "",
        f"Limits: the disk reads {disk:,.0f} rows/s; a single-precision product (of full squares, though ours are "
        "symmetric and in double precision) allows the rows/s in the table, which is the lower limit.",
        "",
        "| rows | whole command | the pass | rows/s | product allows | share | peak memory | R² every row (drawn) | "
        "CKA every row (drawn) |",
        "|---:|---:|---:|---:|---:|---:|---:|---|---|",
    ]
    for run in runs:
        pair, every = run.results.chosen_pair, run.results.whole
        assert every is not None
        limit = min(run.limit, disk)
        lines.append(
            f"| {run.rows:,} | {run.seconds:.0f} s | {run.adding:.1f} s | {run.speed:,.0f} | {run.limit:,.0f} | "
            f"{run.speed / limit:.0%} | {run.memory_gb:.2f} GB | {every.r2.value:.4f} ({pair.r2.low:.4f} to "
            f"{pair.r2.high:.4f}) | {every.cka:.4f} ({pair.cka.low:.4f} to {pair.cka.high:.4f}) |"
        )
    lines += [
        "",
        _goal(f"Share of the limit at {last.rows:,} rows", last.speed / min(last.limit, disk), SHARE, "{:.0%}"),
        _goal(f"Peak memory at {last.rows:,} rows", last.memory_gb, MEMORY_GB, "{:.2f} GB", most=True),
        _goal(
            f"Cost of a row at {last.rows:,}, against {runs[0].rows:,}",
            runs[0].speed / last.speed,
            GROWTH,
            "{:.2f}x",
            most=True,
        ),
        "",
        "The rest of the whole command hardly grows with the rows: it is the work on the drawn rows and, after the "
        "pass, a few dozen Cholesky decompositions. A probe learns more from more rows: R² on every row may be above "
        "the interval of the drawn rows.",
    ]
    for run in runs:
        if run.rows == IN_MEMORY and whole is not None:
            lines += ["", *_compared(run, whole)]
    return "\n".join([*lines, ""])


def _compared(run: Run, whole: Whole) -> list[str]:
    pair, every = run.results.chosen_pair, run.results.whole
    assert every is not None
    inside = pair.cka.low <= whole.cka <= pair.cka.high
    return [
        f"All {run.rows:,} rows in memory, by the measures that do not stream: CKA {whole.cka:.6f}, streamed "
        f"{every.cka:.6f}, {'inside' if inside else '**outside**'} the interval of the drawn rows. R² {whole.r2:.4f} "
        f"(its penalty by leave-one-out, its folds at random), streamed {every.r2.value:.4f} ({every.r2.low:.4f} to "
        f"{every.r2.high:.4f}). Components for 95 % of the source's variance: {whole.dimension}, streamed "
        f"{every.source_pca_dimensions[1]}.",
    ]


def _goal(what: str, value: float, goal: float, form: str, *, most: bool = False) -> str:
    met = value <= goal if most else value >= goal
    return (
        f"- {what}: {form.format(value)}, goal {'at most' if most else 'at least'} {form.format(goal)}: "
        f"{'met' if met else '**missed**'}."
    )


if __name__ == "__main__":
    main()
