"""How much memory is free where a network runs, and how much a piece of work took."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch


def free_bytes(device: str) -> int | None:
    """Memory that this process may still take on ``device``; None where the system does not say."""
    if device.startswith("cuda"):
        at = torch.device(device)
        free, _ = torch.cuda.mem_get_info(at)
        return free + torch.cuda.memory_reserved(at) - torch.cuda.memory_allocated(at)
    free_here = [free for free in (_machine(), _container()) if free is not None]
    return min(free_here, default=None)


def peak_of(work: Callable[[], object], device: str) -> int | None:
    """Bytes that ``work`` took at its highest, over what was held before; None where that cannot be measured."""
    if device.startswith("cuda"):
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


def _machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return int(dict(line.split(":", 1) for line in lines)["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


def _container() -> int | None:
    """What a control group (a container, a Slurm job) still allows; its page cache can be given back."""
    group = Path("/sys/fs/cgroup")
    try:
        most = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        said = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return most - used + int(said["inactive_file"]) + int(said["active_file"])
    except (OSError, KeyError, ValueError):  # no such group, or "max"
        return None
