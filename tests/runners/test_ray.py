"""``runner=ray`` on real clusters: started by foresight, and of two nodes whose processes are killed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import visible
from tests.conftest import user_env
from tests.runners.conftest import WORDS, slowed
from tests.runners.watching import processes_of, shards, times, until

pytest.importorskip("ray")
LOCAL = ("runner=ray", "runner.address=local")
WAIT = 240
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Cluster:
    """A head and a second node, each with all its processes in a group of its own."""

    def __init__(self, site: Path) -> None:
        self.temp = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # its sockets want a short path
        self.env = user_env(PYTHONPATH=str(site), RAY_USAGE_STATS_ENABLED="0", SECONDS_A_BATCH="0.1", **TOKEN)
        self.site = site
        port = free_port()
        self.address = f"127.0.0.2:{port}"  # loopback too; two nodes of one address would be mixed up
        client = free_port()
        self.client = f"ray://127.0.0.2:{client}"
        head = [
            f"--port={port}",
            "--head",
            "--node-ip-address=127.0.0.2",
            "--include-dashboard=false",
            f"--temp-dir={self.temp}",
        ]
        self.head = self._start(*head, f"--ray-client-server-port={client}")
        self.second: subprocess.Popen[bytes] | None = None

    def complete(self) -> None:
        """Both nodes are there, the second one anew where it was killed."""
        if self.second is None:
            self.second = self._start(f"--address={self.address}", "--node-ip-address=127.0.0.3")
            self._wait_for(2)

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        ray = Path(sys.executable).with_name("ray")
        return subprocess.Popen(
            [ray, "start", *words, "--num-cpus=1", "--object-store-memory=100000000", "--block"],
            env=self.env,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _wait_for(self, nodes: int) -> None:
        code = f"import ray; ray.init(address='{self.address}', log_to_driver=False); "
        code += "print(sum(node['Alive'] for node in ray.nodes()))"
        end = time.monotonic() + 90
        while time.monotonic() < end:
            said = subprocess.run([sys.executable, "-c", code], env=self.env, capture_output=True, text=True)
            if said.stdout.strip() == str(nodes):
                return
            time.sleep(0.5)
        pytest.fail(f"the cluster has not {nodes} nodes: {said.stdout} {said.stderr}")

    def kill_second(self) -> None:
        assert self.second is not None
        os.killpg(self.second.pid, signal.SIGKILL)
        self.second.wait()
        self.second = None

    def workers(self) -> list[int]:
        """The actors that fill shards: Ray names its processes after what they run."""
        return processes_of(str(self.site), "ray::MapWorker")

    def stop(self) -> None:
        """Kill whatever is left."""
        for node in (self.second, self.head):
            if node is not None and node.poll() is None:
                os.killpg(node.pid, signal.SIGKILL)
                node.wait()
        for pid in processes_of(self.temp):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.temp, ignore_errors=True)


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory) -> Iterator[Cluster]:
    """Started once: it takes as long as a test."""
    made = Cluster(slowed(tmp_path_factory.mktemp("cluster") / "site"))
    yield made
    made.stop()


@pytest.fixture
def cluster(two_nodes) -> Cluster:
    """Both nodes, and nobody at work on them."""
    until_idle(two_nodes)
    two_nodes.complete()
    return two_nodes


def until_idle(cluster: Cluster) -> None:
    end = time.monotonic() + 60
    while cluster.workers():
        assert time.monotonic() < end, "workers outlive their driver"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> dict[str, bytes]:
    """The entry as one process leaves it."""
    place = tmp_path_factory.mktemp("plain")
    command = [sys.executable, "-m", "foresight_cli", *WORDS, "cache_dir=plain"]
    subprocess.run(command, cwd=place, env=user_env(), check=True, capture_output=True)
    return visible(place / "plain")


def on(cluster: Cluster) -> tuple[str, ...]:
    return ("runner=ray", f"runner.address={cluster.address}", "runner.workers=2")


def test_the_same_bytes_as_local_on_a_cluster_of_our_own_that_binds_to_loopback(tmp_path, start, plain):
    run = start(*LOCAL, "runner.workers=2", SECONDS_A_BATCH="0.05")
    until(lambda: len(shards(tmp_path / "outputs")) >= 3, run)
    listening = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True).stdout.splitlines()
    ours = {str(pid) for pid in processes_of(str(tmp_path / "site"))}
    open_to = [line.split()[3] for line in listening if set(re.findall(r"pid=(\d+)", line)) & ours]
    said, wrong = run.communicate(timeout=WAIT)
    assert (run.returncode, wrong) == (0, "")
    assert open_to
    assert all("127.0.0.1" in place for place in open_to), open_to
    assert said.splitlines()[0] == "Ray: a cluster of this machine alone, started for this run"
    assert said.splitlines()[1].startswith("Ray: 2 workers on ")
    assert said.count("committed") == 100
    filled = [int(count) for count in re.findall(r"^Ray: worker \S+ filled (\d+) shards?$", said, re.M)]
    assert sum(filled) == 100
    assert len(filled) == 2
    assert visible(tmp_path / "outputs/cache") == plain
    again = start(*LOCAL)
    assert again.wait(timeout=60) == 0
    assert "Ray" not in again.stdout.read()  # nothing to do: no cluster is started


def test_a_network_gives_the_same_bytes_as_local_with_as_many_cores_a_worker(tmp_path):
    words = ["extract", "weights=tiny", "model=ltxv", "data.per_category=6", "rows_per_shard=8"]
    for more in (["cache_dir=a", "runner.workers=2"], ["cache_dir=b", *LOCAL, "runner.workers=2"]):
        env = user_env(OMP_NUM_THREADS="1")
        done = subprocess.run(
            [sys.executable, "-m", "foresight_cli", *words, *more],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env=env,
        )
        assert done.returncode == 0, done.stderr
    assert visible(tmp_path / "a") == visible(tmp_path / "b")


def test_a_worker_killed_on_a_cluster_of_two_nodes(tmp_path, start, plain, cluster):
    run = start(*on(cluster), **TOKEN)
    until(lambda: len(shards(tmp_path / "outputs")) >= 3 and len(cluster.workers()) == 2, run)
    kept = times(shards(tmp_path / "outputs"))
    os.kill(cluster.workers()[0], signal.SIGKILL)
    said, wrong = run.communicate(timeout=WAIT)
    assert (run.returncode, wrong) == (0, "")
    assert said.count("committed") == 100
    assert len(re.findall(r"^a worker was lost: shard \d+ is done again by another$", said, re.M)) <= 2
    assert times(list(kept)) == kept
    assert visible(tmp_path / "outputs/cache") == plain


def test_a_node_killed_in_the_middle(tmp_path, start, plain, cluster):
    run = start(*on(cluster), **TOKEN)
    until(lambda: len(shards(tmp_path / "outputs")) >= 3, run)
    cluster.kill_second()
    said, wrong = run.communicate(timeout=WAIT)
    assert (run.returncode, wrong) == (0, "")
    assert said.count("committed") == 100
    assert visible(tmp_path / "outputs/cache") == plain


def test_the_driver_killed_and_started_again(tmp_path, start, plain, cluster):
    run = start(*on(cluster), **TOKEN)
    until(lambda: len(shards(tmp_path / "outputs")) >= 5, run)
    run.kill()
    run.wait()
    until_idle(cluster)
    kept = times(shards(tmp_path / "outputs"))
    assert len(kept) < 100
    again = start(*on(cluster), **TOKEN)
    said, wrong = again.communicate(timeout=WAIT)
    assert (again.returncode, wrong) == (0, "")
    assert said.count("committed") == 100 - len(kept)
    assert times(list(kept)) == kept
    assert visible(tmp_path / "outputs/cache") == plain


def test_from_outside_the_cluster(tmp_path, start, plain, cluster):
    run = start("runner=ray", f"runner.address={cluster.client}", "runner.workers=2", **TOKEN)
    _, wrong = run.communicate(timeout=WAIT)
    assert (run.returncode, wrong) == (0, "")
    assert visible(tmp_path / "outputs/cache") == plain


def test_more_workers_than_cores_do_not_hang(tmp_path, start, plain):
    run = start(*LOCAL, "runner.workers=64")
    said, wrong = run.communicate(timeout=WAIT)
    assert (run.returncode, wrong) == (0, "")
    assert re.search(r"^warning: \d+ of 64 workers fit on the cluster as it stands$", said, re.M)
    assert visible(tmp_path / "outputs/cache") == plain


def test_a_worker_that_fits_nowhere_is_one_line_after_a_bounded_wait(start):
    run = start(*LOCAL, "runner.workers=1", "runner.cpus_per_worker=500", "runner.wait=5")
    _, wrong = run.communicate(timeout=90)
    assert run.returncode == 1
    assert re.fullmatch(
        r"foresight extract: no worker found a place within 5 s: each wants 500 CPUs, the nodes have \d+ CPUs and 0 "
        r"GPUs, of which \d+ CPUs and 0 GPUs are free\. Lower runner\.cpus_per_worker or runner\.gpus_per_worker, or "
        r"wait longer with runner\.wait=SECONDS\n",
        wrong,
    )


def test_a_shard_that_kills_its_workers_is_given_up(tmp_path, start):
    run = start(*LOCAL, "runner.workers=2", DEADLY="cross-0004")
    said, wrong = run.communicate(timeout=WAIT)
    assert run.returncode == 1
    assert said.count("a worker was lost: shard 38 is done again by another") == 2
    assert wrong.startswith("foresight extract: workers died of shard 38 again and again, maybe for want of memory. ")
    assert wrong.count("\n") == 1
    assert start("runner.workers=2").wait(timeout=60) == 0
    assert len(shards(tmp_path / "outputs")) == 100


def test_ctrl_c_is_one_line_and_loses_nothing(tmp_path, start):
    run = start(*LOCAL, "runner.workers=2", SECONDS_A_BATCH="0.1")
    until(lambda: len(shards(tmp_path / "outputs")) >= 3, run)
    os.killpg(run.pid, signal.SIGINT)
    _, wrong = run.communicate(timeout=60)
    assert run.returncode == 130
    assert wrong == "foresight extract: stopped. Nothing finished is lost: run the same command again to go on\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["runner.address=127.0.0.1:1"], "runner.address=127.0.0.1:1: no Ray cluster answers ("),
        (["runner.address=local", "cache_dir=memory://x"], "cache_dir=memory:// is seen by one process alone"),
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
