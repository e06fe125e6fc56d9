"""Observation of an extraction from outside."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path


def shards(folder: Path) -> list[Path]:
    return sorted(folder.rglob("shard-*"))


def times(files: list[Path]) -> dict[Path, int]:
    """Return the time at which each shard was written: a shard that is done again has another time."""
    return {file: file.stat().st_mtime_ns for file in files}


def group_size(leader: int) -> int:
    """Count the processes in the group of ``leader``."""
    groups = subprocess.run(["ps", "-A", "-o", "pgid="], capture_output=True, text=True, check=True).stdout
    return groups.split().count(str(leader))


def processes_of(word: str, title: str = "") -> list[int]:
    """Return the processes with ``word`` in their environment or command, and ``title`` in their command."""
    processes = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
            if title in command and (
                word in command or word in (folder / "environ").read_bytes().decode(errors="replace")
            ):
                processes.append(int(folder.name))
        except OSError:
            continue
    return [pid for pid in processes if pid != os.getpid()]


def until(true: Callable[[], object], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)  # Python and ps that look more often slow down what they watch
