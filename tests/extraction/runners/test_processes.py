"""Real ``foresight extract`` processes: two at once, workers that die, Ctrl-C, and disks that refuse."""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from foresight_cli.cluster.ledger import Ledger
from foresight_cli.errors import ForesightError
from foresight_cli.extraction.runners.processes import _Pipe, _serve
from tests.builders import visible
from tests.extraction.runners.conftest import SHARDS
from tests.extraction.runners.watching import shards, until


def test_two_processes_on_one_entry(tmp_path, start):
    first = start(SECONDS_A_BATCH="0.12")
    until(lambda: shards(tmp_path), first)
    second = start(SECONDS_A_BATCH="0.12")
    (out, _), (output, wrong) = first.communicate(timeout=60), second.communicate(timeout=60)
    assert (first.returncode, second.returncode, wrong) == (0, 0, "")
    assert out.count("committed") == SHARDS
    host = re.escape(os.uname().nodename)
    lines = output.splitlines()
    assert re.fullmatch(
        rf"waiting for process {first.pid} on {host}, which is filling outputs/cache/pixels/\S+", lines[0]
    )
    assert len(lines) == 3  # no shard: only the path of the entry, and what to type next
    assert lines[1].startswith("pixels layer=final flat: 800 rows -> outputs/cache/pixels/layer-final/flat/")
    assert len(shards(tmp_path)) == SHARDS


def test_the_second_resumes_where_the_first_was_killed(tmp_path, start):
    first = start(SECONDS_A_BATCH="0.2")
    until(lambda: len(shards(tmp_path)) >= 5, first)
    second = start()
    until(lambda: second.stdout.readline().startswith("waiting for process"), second)
    first.kill()
    output, _ = second.communicate(timeout=60)
    assert second.returncode == 0
    assert 1 <= output.count("committed") <= SHARDS - 5
    assert len(shards(tmp_path)) == SHARDS


# --- workers


def test_a_worker_that_dies_leaves_its_shard_to_the_others(tmp_path, start, plain):
    """One worker is killed from outside; the run reports it, continues, and ends normally."""
    run = start("runner.workers=3", "cache_dir=shared", SECONDS_A_BATCH="0.1")
    until(lambda: len(shards(tmp_path / "shared")) >= 3, run)
    workers = [pid for pid in children_of_the_server(run.pid) if pid != run.pid]
    os.kill(workers[0], signal.SIGKILL)
    output, wrong = run.communicate(timeout=60)
    assert (run.returncode, wrong) == (0, "")
    assert (
        len(
            re.findall(
                r"^worker \d died \(killed by SIGKILL\): shards? \d+(, \d+)* to be done by another$", output, re.M
            )
        )
        == 1
    )
    assert visible(tmp_path / "shared") == plain


def children_of_the_server(session: int) -> list[int]:
    """Return the workers of a run: processes of its session whose parent is the process that forks them."""
    parent_of = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, rest = stat.read_text().rsplit(")", 1)
        except OSError:
            continue
        fields = rest.split()
        if int(fields[3]) == session:
            parent_of[int(stat.parent.name)] = int(fields[1])
    parents = [parent for parent in parent_of.values() if parent != session and parent in parent_of]
    return [pid for pid, parent in parent_of.items() if parent in parents]


def test_a_shard_that_kills_its_workers_is_given_up(tmp_path, start):
    run = start("runner.workers=3", DEADLY="cross-0004")
    _, wrong = run.communicate(timeout=60)
    assert run.returncode == 1
    assert re.fullmatch(
        r"foresight extract: 3 workers died of shard 19 (\(or of reading or writing shard [\d, ]+ meanwhile\) )?\(the "
        r"last: killed by SIGKILL\), perhaps out of memory\. What is committed is kept: run the same command again, "
        r"with a smaller runner\.workers or batch_size\n",
        wrong,
    )
    again = start("runner.workers=2")
    assert again.wait(timeout=60) == 0
    assert len(shards(tmp_path)) == SHARDS


def test_shards_that_kill_all_workers_before_one_is_given_up_are_named():
    crew = []
    for name in "abc":
        ours, theirs = multiprocessing.Pipe()
        theirs.send(("take", (name,), False))
        theirs.close()
        crew.append(SimpleNamespace(name=name, connection=ours, end=lambda: "killed by SIGKILL"))
    with pytest.raises(ForesightError) as caught:
        _serve(Ledger([31, 19]), crew, progress=None)
    assert str(caught.value) == (
        "all 3 workers died while they held shards 19, 31, with 2 shards to do, perhaps out of memory. What is "
        "committed is kept: run the same command again, with a smaller runner.workers or batch_size"
    )


def test_workers_end_with_their_parent(tmp_path, start):
    """Each first writes the shards that it has computed, and leaves no file half written."""
    run = start("runner.workers=3", "batch_size=2", SECONDS_A_BATCH="0.05", SECONDS_A_FILE="1.5")
    until(lambda: any(f"-{run.pid}-" not in file.name for file in tmp_path.rglob(".tmp-*")), run)
    workers = children_of_the_server(run.pid)
    assert len(workers) == 3
    run.kill()
    end = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < end, "workers live on"
        time.sleep(0.05)
    assert not list(tmp_path.rglob(".tmp-*"))
    assert shards(tmp_path)


def test_a_line_logged_in_the_middle_of_a_question_follows_it():
    """Python may run a ``__del__`` anywhere, also in the thread that waits for the answer."""
    theirs, ours = multiprocessing.Pipe()

    class Interrupted:
        send = ours.send

        def recv(self):
            pipe.tell("warn", 30, "from __del__")
            return ours.recv()

    pipe = _Pipe(Interrupted())
    theirs.send(7)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(pipe.ask("take", "0")), daemon=True)
    thread.start()
    thread.join(20)
    assert answers == [7]
    assert [theirs.recv(), theirs.recv()] == [("take", ("0",), True), ("warn", (30, "from __del__"), False)]


# --- Ctrl-C and disks


@pytest.mark.parametrize("workers", [1, 3])
def test_ctrl_c_is_one_line_and_loses_nothing(tmp_path, start, workers):
    run = start(f"runner.workers={workers}", SECONDS_A_BATCH="0.1")
    until(lambda: len(shards(tmp_path)) >= 3, run)
    os.killpg(run.pid, signal.SIGINT)  # to the whole group, like a terminal
    output, wrong = run.communicate(timeout=60)
    assert run.returncode == 130
    assert wrong == "foresight extract: stopped. Nothing finished is lost: run the same command again to resume\n"
    committed = output.count("committed")
    assert committed <= len(shards(tmp_path)) < SHARDS  # a worker may not have reported its last shard yet
    kept = {file: file.stat().st_mtime_ns for file in shards(tmp_path)}
    again = start()
    assert again.wait(timeout=60) == 0
    assert {file: file.stat().st_mtime_ns for file in kept} == kept


@pytest.mark.parametrize("workers", [1, 2])
def test_a_folder_that_vanishes_is_one_line(tmp_path, start, workers):
    run = start(f"runner.workers={workers}", SECONDS_A_BATCH="0.04")
    until(lambda: len(shards(tmp_path)) >= 3, run)
    shutil.move(tmp_path / "outputs/cache", tmp_path / "elsewhere")
    _, wrong = run.communicate(timeout=60)
    assert run.returncode == 1
    assert re.fullmatch(
        r"foresight extract: cannot write outputs/cache/pixels/layer-final/flat/\w{16}/shard-\d{5}-of-00050\.\w{16}"
        r"\.safetensors: No such file or directory\. Make room or pick another place with cache_dir=DIR; what is "
        r"already written is kept, and the same command resumes from there\n",
        wrong,
    )
    shutil.rmtree(tmp_path / "outputs", ignore_errors=True)
    (tmp_path / "outputs").mkdir()
    shutil.move(tmp_path / "elsewhere", tmp_path / "outputs/cache")
    again = start()
    output, _ = again.communicate(timeout=60)
    assert again.returncode == 0
    assert output.count("committed") <= SHARDS - 3


@pytest.fixture
def small_disk(tmp_path):
    """A real disk of 256 kB, if this process may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", disk], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("may not mount a disk here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


REFUSED = (
    r"foresight extract: cannot write disk/cache/\S+: {}\. Make room or pick another place with cache_dir=DIR; what is "
    r"already written is kept, and the same command resumes from there\n"
)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_is_one_line_and_the_run_resumes_with_more_room(start, plain, small_disk, workers):
    run = start(f"runner.workers={workers}", "cache_dir=disk/cache")
    _, wrong = run.communicate(timeout=60)
    assert run.returncode == 1
    assert re.fullmatch(REFUSED.format("No space left on device"), wrong)
    kept = {file: file.stat().st_mtime_ns for file in shards(small_disk)}
    assert 3 < len(kept) < SHARDS
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    assert start("cache_dir=disk/cache").wait(timeout=60) == 0
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    assert visible(small_disk / "cache") == plain


def test_a_disk_that_may_not_be_written_to(tmp_path, start, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    _, wrong = start("cache_dir=disk/cache").communicate(timeout=60)
    assert re.fullmatch(REFUSED.format("Read-only file system"), wrong)
