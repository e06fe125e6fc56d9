"""Faults in and around workers: a crash, a full disk at the last shard, Ctrl-C at the start, gc."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

from tests.conftest import user_env
from tests.extraction.runners.conftest import SHARDS
from tests.extraction.runners.watching import group_size, shards, until


def test_ctrl_c_while_workers_start(tmp_path, start):
    """Before a worker runs, while Python imports modules, Ctrl-C is still one line."""
    for turn, processes in enumerate((1, 2, 4)):
        made = tmp_path / f"c{turn}"
        run = start("runner.workers=3", f"cache_dir={made}", SECONDS_A_BATCH="1")
        until(lambda run=run, wanted=processes, made=made: made.exists() and group_size(run.pid) >= wanted, run)
        os.killpg(run.pid, signal.SIGINT)
        _, wrong = run.communicate(timeout=60)
        assert run.returncode == 130
        assert wrong == "foresight extract: stopped. Nothing finished is lost: run the same command again to resume\n"


def test_a_crash_of_a_worker_shows_its_traceback(tmp_path, start):
    (tmp_path / "site/sitecustomize.py").write_text(
        "from foresight_cli.models.pixels import Pixels\n"
        "def broken(self, batch, taps):\n    raise ZeroDivisionError('by nothing')\n"
        "Pixels.features = broken\n"
    )
    run = start("runner.workers=2")
    _, wrong = run.communicate(timeout=60)
    assert run.returncode == 1
    assert wrong.rstrip().endswith("ZeroDivisionError: by nothing")
    assert "out of memory" not in wrong


def test_the_last_shard_of_each_worker_cannot_be_written(tmp_path, start):
    """No later shard could report the error: each worker must report it before it waits for work."""
    run = start("runner.workers=2", "rows_per_shard=400", LIMIT="20000")
    _, wrong = run.communicate(timeout=60)
    assert run.returncode == 1
    assert re.fullmatch(
        r"foresight extract: cannot write \S+: File too large\. Make room or pick another place with cache_dir=DIR; "
        r"what is already written is kept, and the same command resumes from there\n",
        wrong,
    )


def test_gc_beside_an_extract_that_waits(tmp_path, start):
    """A run makes again the files that gc deletes meanwhile."""
    first = start("pooling=channel_mean", SECONDS_A_BATCH="0.1")
    until(lambda: shards(tmp_path), first)
    second = start("pooling=all")
    until(lambda: second.stdout.readline().startswith("waiting for process"), second)
    gc = [sys.executable, "-m", "foresight_cli", "cache", "gc", "--yes"]
    subprocess.run(gc, cwd=tmp_path, env=user_env(), check=True, capture_output=True)
    for process in (first, second):
        _, wrong = process.communicate(timeout=60)
        assert (process.returncode, wrong) == (0, "")
    assert len(shards(tmp_path)) == 2 * SHARDS
