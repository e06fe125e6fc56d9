"""Free memory of a device, and the peak memory of a piece of work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def total_bytes() -> int | None:
    """Return the memory of this machine, or of the container of this process; None if unknown."""
    limits = [limit for limit in (_of_machine("MemTotal"), _container_limit()) if limit is not None]
    return min(limits, default=None)


def free_bytes(device: str) -> int | None:
    """Return the memory that this process may still take on ``device``; None if unknown."""
    if device.startswith("cuda"):
        import torch

        at = torch.device(device)
        free, _ = torch.cuda.mem_get_info(at)
        return free + torch.cuda.memory_reserved(at) - torch.cuda.memory_allocated(at)
    free_here = [free for free in (_of_machine("MemAvailable"), _container_free()) if free is not None]
    return min(free_here, default=None)


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


def _of_machine(key: str) -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return int(dict(line.split(":", 1) for line in lines)[key].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


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
