"""Looking at an extraction from outside."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path


def shards(folder: Path) -> list[Path]:
    return sorted(folder.rglob("shard-*"))


def group_size(leader: int) -> int:
    """How many processes there are in the group of ``leader``."""
    groups = subprocess.run(["ps", "-A", "-o", "pgid="], capture_output=True, text=True, check=True).stdout
    return groups.split().count(str(leader))


def until(true: Callable[[], object], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)
