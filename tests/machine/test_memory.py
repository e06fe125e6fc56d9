"""The measured peak memory of work with a known peak."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from foresight_cli.machine.memory import free_bytes

LINUX = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")


@LINUX
def test_free_memory_is_that_of_the_system():
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(lines["MemAvailable"].split()[0]) * 1024
    assert 0 < free_bytes("cpu") <= 1.2 * available


@LINUX
def test_peak_counts_memory_held_at_the_same_time():
    """Measure in a separate process: 300 MB for a moment, then 100 MB twice one after another."""
    code = (
        "import torch\n"
        "from foresight_cli.machine.memory import peak_of\n"
        "big = lambda mb: torch.ones(mb << 20, dtype=torch.uint8).shape\n"
        "big(400)  # an earlier high must not hide a lower one\n"
        "print(peak_of(lambda: big(300), 'cpu') >> 20, peak_of(lambda: (big(100), big(100)), 'cpu') >> 20)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    momentary, repeated = map(int, result.stdout.split())
    assert 290 < momentary < 320
    assert 90 < repeated < 120
