"""``runner=ray`` on a real cluster of two nodes, whose processes are killed."""

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
from tests.extraction.runners.conftest import SHARDS, path_of, slowed
from tests.extraction.runners.watching import processes_of, shards, times, until

pytest.importorskip("ray")
WAIT = 240
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Cluster:
    """A head and a second node, each with all its processes in its process group."""

    def __init__(self, site: Path) -> None:
        self.temp = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # its sockets need a short path
        self.env = user_env(PYTHONPATH=path_of(site), RAY_USAGE_STATS_ENABLED="0", SECONDS_A_BATCH="0.1", **TOKEN)
        self.site = site
        port = free_port()
        self.address = f"127.0.0.2:{port}"  # also loopback; two nodes with one address would be confused
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
        self._started = 1

    def complete(self) -> None:
        """Wait until both nodes run; restart the second one if it was killed."""
        if self.second is None:
            self.second = self._start(f"--address={self.address}", "--node-ip-address=127.0.0.3")
            self._started += 1
            self._wait_for_both()

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        ray = Path(sys.executable).with_name("ray")
        return subprocess.Popen(
            [ray, "start", *words, "--num-cpus=1", "--object-store-memory=100000000", "--block"],
            env=self.env,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _wait_for_both(self) -> None:
        """Wait until Ray sees both nodes: it lists killed nodes as alive until a request to them fails."""
        code = f"import ray; ray.init(address='{self.address}', log_to_driver=False); nodes = ray.nodes(); "
        code += "print(len(nodes), sum(node['Alive'] for node in nodes))"
        end = time.monotonic() + 90
        while time.monotonic() < end:
            output = subprocess.run([sys.executable, "-c", code], env=self.env, capture_output=True, text=True)
            if output.stdout.split() == [str(self._started), "2"]:
                return
            time.sleep(0.5)
        pytest.fail(f"the cluster is not complete: {output.stdout} {output.stderr}")

    def kill_second(self) -> None:
        assert self.second is not None
        os.killpg(self.second.pid, signal.SIGKILL)
        self.second.wait()
        self.second = None

    def workers(self) -> list[int]:
        """Return the processes of actors that fill shards: Ray names processes after their task."""
        return processes_of(str(self.site), "ray::_Actor")

    def on_head(self) -> list[int]:
        """Return the children of the head's raylet."""
        output = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,pgid="], capture_output=True, text=True, check=True
        ).stdout
        rows = [tuple(map(int, line.split())) for line in output.splitlines()]
        group = {pid for pid, _, leader in rows if leader == self.head.pid}
        return [pid for pid, parent, _ in rows if parent in group]

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
    """A cluster started once: its start takes as long as a test."""
    made = Cluster(slowed(tmp_path_factory.mktemp("cluster") / "site"))
    yield made
    made.stop()


@pytest.fixture
def cluster(two_nodes) -> Cluster:
    """Two running nodes without work on them."""
    until_idle(two_nodes)
    two_nodes.complete()
    return two_nodes


def until_idle(cluster: Cluster) -> None:
    end = time.monotonic() + 60
    while cluster.workers():
        assert time.monotonic() < end, "workers outlive their driver"
        time.sleep(0.1)


def on(cluster: Cluster) -> tuple[str, ...]:
    return ("runner=ray", f"runner.address={cluster.address}", "runner.workers=2")


def test_a_worker_killed_on_a_cluster_of_two_nodes(tmp_path, start, plain, cluster):
    run = start(*on(cluster), **TOKEN)
    until(lambda: len(shards(tmp_path / "outputs")) >= 3 and len(cluster.workers()) == 2, run)
    kept = times(shards(tmp_path / "outputs"))
    os.kill(cluster.workers()[0], signal.SIGKILL)
    output, wrong = run.communicate(timeout=WAIT)
    assert (run.returncode, wrong) == (0, "")
    assert output.count("committed") == SHARDS
    assert (
        len(re.findall(r"^worker \S+ died \(ActorDiedError\): shards? [\d, ]+ to be done by another$", output, re.M))
        == 1
    )
    assert times(list(kept)) == kept
    assert visible(tmp_path / "outputs/cache") == plain


def test_a_node_killed_in_the_middle(tmp_path, start, plain, cluster):
    run = start(*on(cluster), **TOKEN)
    until(lambda: len(shards(tmp_path / "outputs")) >= 3, run)
    (ledger,) = processes_of(str(cluster.site), "ray::Ledger")
    assert ledger in cluster.on_head()  # on the driver's node, which outlives the other
    cluster.kill_second()
    output, wrong = run.communicate(timeout=WAIT)
    assert (run.returncode, wrong) == (0, "")
    assert output.count("committed") == SHARDS
    assert visible(tmp_path / "outputs/cache") == plain


def test_the_driver_killed_and_started_again(tmp_path, start, plain, cluster):
    run = start(*on(cluster), **TOKEN)
    until(lambda: len(shards(tmp_path / "outputs")) >= 5, run)
    run.kill()
    run.wait()
    until_idle(cluster)
    kept = times(shards(tmp_path / "outputs"))
    assert len(kept) < SHARDS
    again = start(*on(cluster), **TOKEN)
    output, wrong = again.communicate(timeout=WAIT)
    assert (again.returncode, wrong) == (0, "")
    assert output.count("committed") == SHARDS - len(kept)
    assert times(list(kept)) == kept
    assert visible(tmp_path / "outputs/cache") == plain


def test_a_network_gives_the_same_bytes_as_local_with_as_many_cores_a_worker(tmp_path, cluster):
    words = ["extract", "weights=tiny", "model=ltxv", "model.resolution=64", "data.per_category=3", "rows_per_shard=8"]
    for more in (["cache_dir=a", "runner.workers=2"], [f"cache_dir={tmp_path / 'b'}", *on(cluster)]):
        command = [sys.executable, "-m", "foresight_cli", *words, *more]
        env = user_env(OMP_NUM_THREADS="1", **TOKEN)
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=env)
        assert done.returncode == 0, done.stderr
    assert visible(tmp_path / "a") == visible(tmp_path / "b")


def test_a_worker_that_fits_nowhere_is_one_line_after_a_bounded_wait(start, cluster):
    words = ("runner.workers=1", "runner.cpus_per_worker=500", "runner.wait=2")
    run = start("runner=ray", f"runner.address={cluster.address}", *words, **TOKEN)
    _, wrong = run.communicate(timeout=90)
    assert run.returncode == 1
    assert wrong == (
        "foresight extract: no worker found a place within 2 s: each needs 500 CPUs, the nodes have 1 CPUs and 0 "
        "GPUs, 1 CPUs and 0 GPUs, of which 2 CPUs and 0 GPUs are free. Lower runner.cpus_per_worker or "
        "runner.gpus_per_worker, or wait longer with runner.wait=SECONDS\n"
    )


def test_from_outside_the_cluster(tmp_path, start, plain, cluster):
    run = start("runner=ray", f"runner.address={cluster.client}", "runner.workers=2", **TOKEN)
    _, wrong = run.communicate(timeout=WAIT)
    assert (run.returncode, wrong) == (0, "")
    assert visible(tmp_path / "outputs/cache") == plain
