"""A sweep under submitit's local executor, as on Slurm: jobs that are preempted or killed resume."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.builders import visible
from tests.conftest import user_env
from tests.extraction.runners.conftest import WORDS
from tests.extraction.runners.watching import processes_of, shards, times, until

pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
SWEEP = ("-m", "hydra/launcher=submitit_local", "hydra.launcher.timeout_min=10", "model.resolution=4,8")
JOB = "submitit.core._submit"


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> dict[str, bytes]:
    """The cache after a sweep without interruptions."""
    place = tmp_path_factory.mktemp("sweep")
    command = [sys.executable, "-m", "foresight_cli", *WORDS, "-m", "model.resolution=4,8", "cache_dir=plain"]
    subprocess.run(command, cwd=place, env=user_env(), check=True, capture_output=True)
    return visible(place / "plain")


def jobs(site) -> list[int]:
    return processes_of(str(site), JOB)


def test_a_requeued_job_resumes_after_the_last_committed_shard(tmp_path, start, plain):
    run = start(*SWEEP, SECONDS_A_BATCH="0.1")
    until(lambda: len(shards(tmp_path / "outputs")) >= 6, run)
    kept = times(shards(tmp_path / "outputs"))
    pids = jobs(tmp_path / "site")
    for pid in pids:
        os.kill(pid, signal.SIGUSR2)  # Slurm sends it before the time limit, or to preempt a job
    output, wrong = run.communicate(timeout=240)
    assert (run.returncode, wrong) == (0, ""), output
    assert len(pids) == 2
    logs = [file.read_text() for file in (tmp_path / "outputs").rglob("*_log.out")]
    assert [text.count("Requeued job") >= 1 for text in logs] == [True, True]
    assert times(list(kept)) == kept
    assert visible(tmp_path / "outputs/cache") == plain


def test_jobs_that_are_killed_go_on_with_the_same_command(tmp_path, start, plain):
    run = start(*SWEEP, SECONDS_A_BATCH="0.1")
    until(lambda: len(shards(tmp_path / "outputs")) >= 6, run)
    for pid in jobs(tmp_path / "site"):
        os.kill(pid, signal.SIGKILL)
    run.communicate(timeout=240)
    assert run.returncode != 0
    kept = times(shards(tmp_path / "outputs"))
    again = start(*SWEEP)
    output, wrong = again.communicate(timeout=240)
    assert (again.returncode, wrong) == (0, ""), output
    assert times(list(kept)) == kept
    assert visible(tmp_path / "outputs/cache") == plain
