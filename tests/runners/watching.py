"""Looking at an extraction from outside."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path


def shards(folder: Path) -> list[Path]:
    return sorted(folder.rglob("shard-*"))


def until(true: Callable[[], object], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)
