"""The real job at full size, with random weights: Qwen2.5-VL-7B and 3B and LTX-Video's autoencoder from a hub cache.

Run by ``make rehearsal``; takes 17 GB of disk (freed at the end), 20 GB of memory, and about ten minutes on two cores.
Every step is the command that a user types, in a separate process; parts are timed by the dated lines of its log.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.full_size import LTX_VIDEO, QWEN_3B, QWEN_7B, Size, ltx_video, qwen, remove
from benchmarks.machine import described

RESULT = Path(__file__).parent / "REHEARSAL.md"
PICTURES, SIDE = 4, 448
MEMORY_GB, AGAIN_SECONDS = 20.0, 2.0
"""Goals: peak resident memory; time of a command whose work is already done."""
FIRST_SHARD = re.compile(r"shard \d+ committed")
_DATED = re.compile(r"^\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3})\]\[[^]]*\]\[[^]]*\] (.*)$")


@dataclass(frozen=True)
class Run:
    """One command.

    Attributes:
        seconds: time of the whole process.
        memory_gb: its peak resident memory, including files that are mapped into memory.
        own_gb: its peak resident memory without mapped files.
        lines: lines of its log, each with the seconds since the start.
        status: its exit status.
    """

    seconds: float
    memory_gb: float
    own_gb: float
    lines: list[tuple[float, str]]
    status: int

    def at(self, pattern: str) -> float | None:
        """Return the time of the last line that matches ``pattern``, in seconds since the start; None without one."""
        times = [seconds for seconds, line in self.lines if re.search(pattern, line)]
        return times[-1] if times else None

    def number(self, pattern: str) -> float | None:
        """Return the number that ``pattern`` captures in a line of the log; None without one."""
        matches = [match for _, line in self.lines if (match := re.search(pattern, line))]
        return float(matches[-1][1]) if matches else None


@dataclass(frozen=True)
class Rehearsal:
    """All runs of one model."""

    name: str
    weights_gb: float
    first: Run
    again: Run
    local: Run | None
    local_again: Run | None
    resumed: Run | None
    same_bytes: bool | None


class Typed:
    """Commands typed in ``folder``, with the hub cache ``hub`` and no network."""

    def __init__(self, folder: Path, hub: Path) -> None:
        self.folder = folder
        self._env = {**os.environ, "HF_HUB_CACHE": str(hub), "HF_HUB_OFFLINE": "1", "XDG_CACHE_HOME": str(folder)}
        self._env.pop("OMP_NUM_THREADS", None)

    def extract(self, *words: str, kill_at: re.Pattern[str] | None = None) -> Run:
        """Run ``foresight extract`` with ``words``; kill it when its output matches ``kill_at``."""
        run_dir = self.folder / f"run-{time.time_ns()}"
        command = [sys.executable, "-m", "foresight_cli", "extract", *words, f"hydra.run.dir={run_dir}"]
        output = self.folder / "output.txt"
        began, start = datetime.now(), time.monotonic()
        with output.open("w") as out:
            process = subprocess.Popen(command, cwd=self.folder, env=self._env, stdout=out, stderr=subprocess.STDOUT)
        memory = anonymous = 0.0
        while process.poll() is None:
            memory = max(memory, _status(process.pid, "VmHWM"))
            anonymous = max(anonymous, _status(process.pid, "RssAnon"))
            if kill_at is not None and kill_at.search(output.read_text()):
                process.send_signal(signal.SIGKILL)
                process.wait()
            time.sleep(0.05)
        seconds = time.monotonic() - start
        if process.returncode and kill_at is None:
            raise SystemExit(f"{' '.join(command)} failed:\n{output.read_text()[-4000:]}")
        log = next(run_dir.glob("*.log"), None)
        lines = [] if log is None else _dated(log.read_text(encoding="utf-8"), began)
        return Run(seconds, memory, anonymous, lines, process.returncode)


def _status(pid: int, key: str) -> float:
    """Return a value of the process's status in gigabytes; 0 after its end."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    match = re.search(rf"^{key}:\s+(\d+)", text, re.M)
    return int(match[1]) * 1024 / 1e9 if match else 0.0


def _dated(text: str, began: datetime) -> list[tuple[float, str]]:
    matches = [match for line in text.splitlines() if (match := _DATED.match(line))]
    return [((datetime.strptime(m[1], "%Y-%m-%d %H:%M:%S,%f") - began).total_seconds(), m[2]) for m in matches]


def rehearse(
    folder: Path, name: str, words: list[str], build: Callable[[Path], Path], subfolder: str = "", *, thorough: bool
) -> Rehearsal:
    """Build one model and extract ``PICTURES`` pictures in every way that a user might.

    Args:
        folder: working folder.
        name: hub id.
        words: words of the command that select model and layers.
        build: writes the checkpoint into a hub cache, and returns the folder of its snapshot.
        subfolder: subfolder of the snapshot with the weights.
        thorough: also run from the snapshot's folder, which must be hashed; and kill and resume a run.
    """
    hub = folder / "hub"
    snapshot = build(hub)
    files = (snapshot / subfolder).glob("*.safetensors")
    weights = sum(file.stat().st_size for file in files) / 1e9
    typed = Typed(folder, hub)
    shared = [*words, "pooling=all", "data=imagefolder", f"data.path={folder / 'pictures'}", "rows_per_shard=1"]
    by_id = [*shared, f"model.checkpoint={name}"]
    try:
        print(f"{name}: {weights:.1f} GB of weights written", flush=True)
        first = typed.extract(*by_id, "cache_dir=whole")
        again = typed.extract(*by_id, "cache_dir=whole")
        print(f"{name}: {first.seconds:.0f} s, {first.memory_gb:.1f} GB, then {again.seconds:.1f} s", flush=True)
        local = local_again = resumed = None
        same = None
        if thorough:
            typed.extract(*by_id, "cache_dir=killed", kill_at=FIRST_SHARD)
            resumed = typed.extract(*by_id, "cache_dir=killed")
            same = _bytes(folder / "killed") == _bytes(folder / "whole")
            from_folder = [*shared, f"model.checkpoint={snapshot}", "cache_dir=folder"]
            local = typed.extract(*from_folder)
            local_again = typed.extract(*from_folder)
        return Rehearsal(name, weights, first, again, local, local_again, resumed, same)
    finally:
        remove(snapshot)
        for cache in ("whole", "killed", "folder"):
            shutil.rmtree(folder / cache, ignore_errors=True)


def _bytes(cache: Path) -> dict[str, str]:
    """Return the SHA-256 of every shard of a cache, by its path."""
    shards = sorted(cache.rglob("shard-*.safetensors"))
    return {str(path.relative_to(cache)): hashlib.sha256(path.read_bytes()).hexdigest() for path in shards}


def _qwen(folder: Path, size: Size, *, thorough: bool) -> Rehearsal:
    words = ["model=qwen25vl", "layer=all"]
    return rehearse(folder, size.hub_id, words, lambda hub: qwen(hub, size), thorough=thorough)


def main() -> None:
    """Rehearse every model, and write :data:`RESULT`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--folder", type=Path, help="a folder with 20 GB of free disk; default: the folder for temporary files"
    )
    place = parser.parse_args().folder
    with tempfile.TemporaryDirectory(dir=place) as temporary:
        folder = Path(temporary)
        _draw_pictures(folder / "pictures")
        done = [
            rehearse(folder, LTX_VIDEO, ["model=ltxv"], ltx_video, "vae", thorough=False),
            _qwen(folder, QWEN_3B, thorough=False),
            _qwen(folder, QWEN_7B, thorough=True),
        ]
    RESULT.write_text(_page(done), encoding="utf-8")
    print(RESULT.read_text(encoding="utf-8"))


def _draw_pictures(folder: Path) -> None:
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(PICTURES):
        coarse = generator.integers(0, 256, (14, 14, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / f"{number}.png")


def _page(done: list[Rehearsal]) -> str:
    largest = done[-1]
    rows = [_row(rehearsal) for rehearsal in done]
    return "\n".join(
        [
            "# The real job at full size",
            "",
            f"`make rehearsal`, {described()}",
            "",
            f"Published configs, file names, key names and shards with random bfloat16 weights, as a hub cache without "
            f"network; {PICTURES} pictures of {SIDE} x {SIDE}; `layer=all pooling=all rows_per_shard=1`. Memory is the "
            "peak resident memory of the whole process. Most of it is weight files mapped into memory, which the "
            "system can free at any time, so the memory without mapped files is shown too.",
            "",
            "| checkpoint | weights | numbers | whole command | until the weights are read | network, each picture "
            "| memory | without mapped files | repeated |",
            "|---|---|---|---|---|---|---|---|---|",
            *rows,
            "",
            *_thorough(largest),
            "",
            *_goals(done),
            "",
        ]
    )


def _row(rehearsal: Rehearsal) -> str:
    run = rehearsal.first
    read, end = run.at(r"^\w+: read \S+ GB of weights"), run.at(r"shard \d+ committed")
    first = next((seconds for seconds, line in run.lines if FIRST_SHARD.search(line)), None)
    each = None if end is None or first is None else (end - first) / (PICTURES - 1)
    dtype = next((m[1] for _, line in run.lines if (m := re.search(r"GB of weights in (\w+)", line))), "")
    cells = [
        rehearsal.name,
        f"{rehearsal.weights_gb:.1f} GB",
        dtype,
        f"{run.seconds:.0f} s",
        _seconds(read),
        _seconds(each),
        f"{run.memory_gb:.1f} GB",
        f"{run.own_gb:.1f} GB",
        f"{rehearsal.again.seconds:.2f} s",
    ]
    return "| " + " | ".join(cells) + " |"


def _thorough(rehearsal: Rehearsal) -> list[str]:
    assert rehearsal.local is not None
    assert rehearsal.local_again is not None
    assert rehearsal.resumed is not None
    hashed = rehearsal.local.number(r"hashed \S+ GB of weights in (\S+) s")
    return [
        f"More runs of {rehearsal.name}:",
        "",
        f"- From its folder (`model.checkpoint=DIR`), whose {rehearsal.weights_gb:.1f} GB are hashed for the key: "
        f"{_seconds(hashed)} for the hash, {rehearsal.local.seconds:.0f} s in total; repeated "
        f"{rehearsal.local_again.seconds:.2f} s, because the hash is remembered.",
        f"- Killed by SIGKILL after its first picture and started again: {rehearsal.resumed.seconds:.0f} s; the shards "
        f"{'are byte for byte' if rehearsal.same_bytes else 'DIFFER from'} those of an uninterrupted run.",
    ]


def _goals(done: list[Rehearsal]) -> list[str]:
    memory = max(rehearsal.first.memory_gb for rehearsal in done)
    again = max(run.seconds for r in done for run in (r.again, r.local_again) if run is not None)
    lines = [
        (f"peak memory below {MEMORY_GB:g} GB", f"{memory:.1f} GB", memory < MEMORY_GB),
        (f"a command whose work is done takes under {AGAIN_SECONDS:g} s", f"{again:.2f} s", again < AGAIN_SECONDS),
        ("a killed run ends with the same bytes", str(done[-1].same_bytes), bool(done[-1].same_bytes)),
    ]
    return ["| goal | measured | met |", "|---|---|---|"] + [
        f"| {goal} | {value} | {'yes' if met else '**no**'} |" for goal, value, met in lines
    ]


def _seconds(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.1f} s"


if __name__ == "__main__":
    main()
