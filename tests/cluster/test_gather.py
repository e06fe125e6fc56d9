"""Sums over pieces on a Ray cluster: merged there, even if a worker dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import user_env

# Not imported here: workers import this file, and Ray reads its settings when it is imported.
pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray")
ROOT = Path(__file__).resolve().parents[2]
WORKS = ("added", "added_by_a_worker_that_dies_once", "added_by_workers_that_die", "refused")
CODE = """
import json, sys
from foresight_cli.config import RayConfig
from foresight_cli.errors import ForesightError
from foresight_cli.cluster.connection import connected
from foresight_cli.cluster.gather import gather

config = RayConfig("ray", "local", 2, None, 1, 60)
with connected(config):  # once for all: a cluster takes longer to start than the work
    from tests.cluster import test_gather as pieces

    for work in pieces.WORKS:
        seen = []
        try:
            whole = gather(
                getattr(pieces, work), pieces.merged, lambda most: pieces.split(sys.argv[1]), config, seen.append
            )
            print(json.dumps([work, whole, sum(seen)]))
        except ForesightError as error:
            print(json.dumps([work, "refused", str(error)]))
"""


def split(folder: str) -> list[tuple[str, list[int]]]:
    """Split the numbers below 50 into five pieces."""
    return [(folder, list(range(start, start + 10))) for start in range(0, 50, 10)]


def added(piece, on_samples) -> int:
    on_samples(len(piece[1]))
    return sum(piece[1])


def added_by_a_worker_that_dies_once(piece, on_samples) -> int:
    mark = Path(piece[0], "died")
    if 20 in piece[1] and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.5)
    return added(piece, on_samples)


def added_by_workers_that_die(piece, on_samples) -> int:
    if 20 in piece[1]:
        os.kill(os.getpid(), signal.SIGKILL)
    return added(piece, on_samples)


def refused(piece, on_samples) -> int:
    from foresight_cli.errors import ForesightError

    if 30 in piece[1]:
        raise ForesightError("shard 30 is damaged")
    return added(piece, on_samples)


def merged(first: int, second: int) -> int:
    return first + second


@pytest.fixture(scope="module")
def gathered(tmp_path_factory) -> dict[str, list[object]]:
    """The result of each kind of work, and the sum of the samples seen."""
    folder = tmp_path_factory.mktemp("pieces")
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(folder)],
        cwd=ROOT,
        env=user_env(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "died").exists()
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    return {work: results for work, *results in lines}


def test_all_pieces_and_the_samples_seen(gathered):
    assert gathered["added"] == [sum(range(50)), 50]


def test_a_worker_that_is_killed_is_made_up_for(gathered):
    assert gathered["added_by_a_worker_that_dies_once"] == [sum(range(50)), 50]


def test_a_piece_that_costs_its_workers_again_and_again_is_one_line(gathered):
    outcome, why = gathered["added_by_workers_that_die"]
    assert outcome == "refused"
    assert why == (
        "the Ray cluster lost a part of the work (WorkerCrashedError), perhaps out of memory. Run the same command "
        "again, with a smaller runner.workers or without runner=ray"
    )


def test_an_error_of_a_piece_is_the_answer(gathered):
    assert gathered["refused"] == ["refused", "shard 30 is damaged"]
