"""Free memory of a device, and the peak memory of a piece of work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil


def total_bytes() -> int:
    """Return the memory of this machine, or of the container of this process."""
    total: int = psutil.virtual_memory().total
    limit = _container_limit()
    return total if limit is None else min(total, limit)


def free_bytes(device: str) -> int:
    """Return the memory that this process may still take on ``device``."""
    if device.startswith("cuda"):
        import torch

        at = torch.device(device)
        free, _ = torch.cuda.mem_get_info(at)
        return free + torch.cuda.memory_reserved(at) - torch.cuda.memory_allocated(at)
    available: int = psutil.virtual_memory().available
    free_here = _container_free()
    return available if free_here is None else min(available, free_here)


def peak_of(work: Callable[[], object], device: str) -> int | None:
    """Return the peak bytes of ``work`` beyond those held before; None if they cannot be measured."""
    if device.startswith("cuda"):
        import torch

        at = torch.device(device)
        torch.cuda.reset_peak_memory_stats(at)
        before = torch.cuda.memory_allocated(at)
        work()
        return torch.cuda.max_memory_allocated(at) - before
    try:
        Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the highest resident size so far
        before = _status("VmRSS")
    except (OSError, KeyError):
        work()
        return None
    work()
    return max(_status("VmHWM") - before, 0)


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(dict(line.split(":", 1) for line in lines)[key].split()[0]) * 1024


_GROUP = Path("/sys/fs/cgroup")


def _container_limit() -> int | None:
    """Return the memory limit of the control group (a container, a Slurm job)."""
    try:
        return int((_GROUP / "memory.max").read_text())
    except (OSError, ValueError):  # no such group, or "max"
        return None


def _container_free() -> int | None:
    """Return the free memory of the control group; its page cache counts as free."""
    limit = _container_limit()
    try:
        used = int((_GROUP / "memory.current").read_text())
        statistics = dict(line.split() for line in (_GROUP / "memory.stat").read_text().splitlines())
        reclaimable = int(statistics["inactive_file"]) + int(statistics["active_file"])
    except (OSError, KeyError, ValueError):
        return None
    return None if limit is None else limit - used + reclaimable
