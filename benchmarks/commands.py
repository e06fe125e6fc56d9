"""Benchmarks of whole commands: time and memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable

from benchmarks.timing import Row, alone

SMALL, LARGE = 50, 500  # pictures of each of 8 categories


def rows(runs: int) -> list[Row]:
    """Measure every row of this section."""
    return [
        Row("foresight extract, already in the cache (whole process)", alone(_cached(), runs), "2 s", None, 2.0),
        Row("foresight --help (whole process)", alone(_help, runs), "0.3 s", None, 0.3),
        Row(
            f"peak memory of foresight extract, tiny VLM, {8 * LARGE} pictures",
            _peak_megabytes(LARGE),
            f"the same for {8 * SMALL} pictures",
            _peak_megabytes(SMALL),
            goal=1.05,
            unit="MB",
            cost=True,
            note="one run each; resident memory of the whole process at its highest",
        ),
    ]


def _cached() -> Callable[[], object]:
    folder = tempfile.mkdtemp()
    command = [sys.executable, "-m", "foresight_cli", "extract", "weights=tiny", "layer=all", "pooling=all"]
    return lambda: subprocess.run(command, cwd=folder, check=True, capture_output=True)


def _help() -> None:
    subprocess.run([sys.executable, "-m", "foresight_cli", "--help"], check=True, capture_output=True)


LAUNCH = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""


def _peak_megabytes(per_category: int) -> float:
    """Measure by a small process: the peak of a child includes the memory of its parent at the fork."""
    command = [sys.executable, "-m", "foresight_cli", "extract", "weights=tiny", "layer=all", "pooling=all"]
    with tempfile.TemporaryDirectory() as folder:
        launch = [sys.executable, "-c", LAUNCH, *command, f"data.per_category={per_category}"]
        return float(subprocess.run(launch, cwd=folder, check=True, capture_output=True, text=True).stdout)
