"""Real extractions killed by SIGKILL at random moments: nothing committed is lost or redone, and the end is the same.

Every run records the samples that went through the model, so that the cost of a kill can be counted.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from safetensors import safe_open

from tests.builders import visible
from tests.conftest import user_env
from tests.extraction.runners.conftest import path_of

KILLS, SHARDS, ROWS = 20, 60, 8
WORDS = ("extract", "model=pixels", "pooling=all", "data.size=64", "data.per_category=60", f"rows_per_shard={ROWS}")

TRACE = """
import os
from foresight_cli.models.pixels import Pixels

plain = Pixels.features
def traced(self, batch, taps):
    lines = "".join(f"{os.getpid()} {p.sample_id}\\n" for p in batch)
    os.write(trace, lines.encode())
    return plain(self, batch, taps)
Pixels.features = traced
trace = os.open(os.environ["TRACE"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
"""


class Torn:
    """A cache that is filled by runs that are killed before they end."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.folder = folder
        self.workers = workers
        (folder / "site").mkdir()
        (folder / "site/sitecustomize.py").write_text(TRACE)  # read by every Python process, also by workers
        self.run_number = 0

    def start(self) -> subprocess.Popen[bytes]:
        self.run_number += 1
        self.trace.touch()
        env = user_env(PYTHONPATH=path_of(self.folder / "site"), TRACE=str(self.trace), OMP_NUM_THREADS="1")
        command = [sys.executable, "-m", "foresight_cli", *WORDS, f"runner.workers={self.workers}", "cache_dir=torn"]
        with (self.folder / "log.txt").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, env=env, stdout=log, stderr=log, start_new_session=True
            )  # a new session: all of its processes can be killed at once

    @property
    def trace(self) -> Path:
        return self.folder / f"trace-{self.run_number}.txt"

    def computed(self) -> list[tuple[int, str]]:
        """Return process and sample of each pass through the model in this run."""
        lines = (line.split() for line in self.trace.read_text().splitlines())
        return [(int(pid), sample) for pid, sample in lines]

    def committed(self) -> dict[Path, tuple[int, int]]:
        """Return inode and time of every committed shard."""
        files = (self.folder / "torn").rglob("shard-*")
        return {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in files}

    def samples(self, pooling: str = "flat") -> set[str]:
        return {sample for file in self.committed() if file.parts[-3] == pooling for sample in ids(file)}


def ids(shard: Path) -> list[str]:
    with safe_open(shard, "pt") as file:
        return json.loads(bytes(file.get_tensor("samples").numpy()))["ids"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, bytes]:
    """The files of a run without interruption."""
    folder = tmp_path_factory.mktemp("whole")
    command = [sys.executable, "-m", "foresight_cli", *WORDS, "cache_dir=whole"]
    subprocess.run(command, cwd=folder, env=user_env(), check=True, capture_output=True)
    files = visible(folder / "whole")
    assert len([name for name in files if "shard-" in name]) == 2 * SHARDS
    return files


def wait_for(lines: int, torn: Torn, run: subprocess.Popen[bytes]) -> None:
    """Wait until ``lines`` samples have gone through the model, or the run is over."""
    end = time.monotonic() + 60
    while run.poll() is None and torn.trace.read_bytes().count(b"\n") < lines:
        assert time.monotonic() < end, (torn.folder / "log.txt").read_text()
        time.sleep(0.002)


def kill(run: subprocess.Popen[bytes], torn: Torn, whom: str, chance: random.Random) -> None:
    busy = sorted({pid for pid, _ in torn.computed()} - {run.pid})
    with suppress(ProcessLookupError):  # it may have ended
        if whom == "worker" and busy:
            os.kill(chance.choice(busy), signal.SIGKILL)
        elif whom == "parent":
            os.kill(run.pid, signal.SIGKILL)
        else:
            os.killpg(run.pid, signal.SIGKILL)


def targets(workers: int) -> Iterator[str]:
    while True:
        yield from ("all", "all", "worker", "parent") if workers > 1 else ("all",)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3])
def test_killed_at_any_moment_a_rerun_ends_in_the_same_bytes(tmp_path, whole, workers):
    chance, torn, target = random.Random(workers), Torn(tmp_path, workers), targets(workers)
    landed = 0
    for _ in range(KILLS):
        before, kept = torn.committed(), torn.samples()
        run = torn.start()
        wait_for(chance.randint(0, 12 * ROWS), torn, run)
        time.sleep(chance.uniform(0, 0.02))
        whom = next(target)
        kill(run, torn, whom, chance)
        status = run.wait(timeout=60)
        landed += status < 0
        if whom == "worker":
            assert status in (0, -signal.SIGKILL), (tmp_path / "log.txt").read_text()
        after = torn.committed()
        assert before.items() <= after.items()  # committed shards were not written again,
        done = Counter(sample for _, sample in torn.computed())
        assert not kept & done.keys()  # nor computed again
        if whom == "all":
            lost = len(done.keys() - torn.samples())
            assert lost <= workers * 2 * ROWS  # each process loses the shard it computes and the shard it writes
        for name, data in visible(tmp_path / "torn").items():  # every committed file is whole
            assert data == whole[name], name
        if status == 0:
            assert visible(tmp_path / "torn") == whole
            shutil.rmtree(tmp_path / "torn")
    assert landed >= KILLS // 2
    assert torn.start().wait(timeout=60) == 0, (tmp_path / "log.txt").read_text()
    assert visible(tmp_path / "torn") == whole
