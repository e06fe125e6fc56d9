"""``runner=ray`` on a real cluster that foresight starts on this machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess

import pytest

from tests.builders import visible
from tests.extraction.runners.conftest import SHARDS
from tests.extraction.runners.watching import processes_of, shards, until

pytest.importorskip("ray")
LOCAL = ("runner=ray", "runner.address=local")
WAIT = 240


def test_the_same_bytes_as_local_on_a_cluster_of_our_own_that_binds_to_loopback(tmp_path, start, plain):
    run = start(*LOCAL, "runner.workers=2", SECONDS_A_BATCH="0.1")
    until(lambda: len(shards(tmp_path / "outputs")) >= 3, run)
    listening = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True).stdout.splitlines()
    ours = {str(pid) for pid in processes_of(str(tmp_path / "site"))}
    open_to = [line.split()[3] for line in listening if set(re.findall(r"pid=(\d+)", line)) & ours]
    output, wrong = run.communicate(timeout=WAIT)
    assert (run.returncode, wrong) == (0, "")
    assert open_to
    assert all("127.0.0.1" in place for place in open_to), open_to
    assert output.splitlines()[0] == "Ray: a cluster on only this machine, started for this run"
    assert output.splitlines()[1].startswith("Ray: 2 workers on ")
    assert output.count("committed") == SHARDS
    filled = [int(count) for count in re.findall(r"^Ray: worker \S+ filled (\d+) shards?$", output, re.M)]
    assert sum(filled) == SHARDS
    assert len(filled) == 2
    assert visible(tmp_path / "outputs/cache") == plain
    again = start(*LOCAL)
    assert again.wait(timeout=60) == 0
    assert "Ray" not in again.stdout.read()  # nothing to do: no cluster is started


def test_more_workers_than_cores_do_not_hang(tmp_path, start, plain):
    run = start(*LOCAL, "runner.workers=40")
    output, wrong = run.communicate(timeout=WAIT)
    assert (run.returncode, wrong) == (0, "")
    assert re.search(r"^warning: \d+ of 40 workers fit on the cluster now$", output, re.M)
    assert visible(tmp_path / "outputs/cache") == plain


def test_a_shard_that_kills_its_workers_is_given_up(tmp_path, start):
    run = start(*LOCAL, "runner.workers=2", DEADLY="cross-0004")
    output, wrong = run.communicate(timeout=WAIT)
    assert run.returncode == 1
    died = r"^worker \S+-\d+ died \(ActorDiedError\): shards? [\d, ]*\b19\b[\d, ]* to be done by another$"
    assert len(re.findall(died, output, re.M)) == 2
    assert re.fullmatch(
        r"foresight extract: 3 workers died of shard 19 (\(or of reading or writing shard [\d, ]+ meanwhile\) )?\(the "
        r"last: ActorDiedError\), perhaps out of memory\. What is committed is kept: run the same command again, with "
        r"a smaller batch_size or more runner\.cpus_per_worker\n",
        wrong,
    )
    assert start("runner.workers=2").wait(timeout=60) == 0
    assert len(shards(tmp_path / "outputs")) == SHARDS


def test_ctrl_c_is_one_line_and_loses_nothing(tmp_path, start):
    run = start(*LOCAL, "runner.workers=2", SECONDS_A_BATCH="0.1")
    until(lambda: len(shards(tmp_path / "outputs")) >= 3, run)
    os.killpg(run.pid, signal.SIGINT)
    _, wrong = run.communicate(timeout=60)
    assert run.returncode == 130
    assert wrong == "foresight extract: stopped. Nothing finished is lost: run the same command again to resume\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["runner.address=127.0.0.1:1"], "runner.address=127.0.0.1:1: no Ray cluster answers ("),
        (["runner.address=local", "cache_dir=memory://x"], "cache_dir=memory:// is visible to only one process"),
        (
            ["runner.address=local", "device=cuda"],
            "device=cuda, and no GPU in the Ray cluster for a worker: use device=cpu",
        ),
    ],
)
def test_what_cannot_be(start, words, says):
    run = start("runner=ray", *words)
    _, wrong = run.communicate(timeout=120)
    assert run.returncode == 1
    assert wrong.startswith(f"foresight extract: {says}")
    assert wrong.count("\n") == 1


def test_without_ray(tmp_path, start):
    (tmp_path / "site/ray.py").write_text("raise ImportError")
    run = start("runner=ray")
    _, wrong = run.communicate(timeout=60)
    assert run.returncode == 1
    assert wrong == (
        "foresight extract: runner=ray needs Ray: pip install 'foresight-latents[ray]', here and on every node of the "
        "cluster\n"
    )
