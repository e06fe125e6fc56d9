"""A real ``foresight extract`` in the background."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import visible
from tests.conftest import user_env

WORDS = ("extract", "model=pixels", "pooling=flat", "data.size=64", "data.per_category=100", "rows_per_shard=16")
SHARDS = 50
SLOW = """
import os, time
from foresight_cli.models.pixels import Pixels

if "LIMIT" in os.environ:
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(os.environ["LIMIT"]),) * 2)
plain = Pixels.features
def slow(self, batch, taps):
    time.sleep(float(os.environ.get("SECONDS_A_BATCH", 0)))
    if any(p.sample_id == os.environ.get("DEADLY") for p in batch):
        os.kill(os.getpid(), 9)
    return plain(self, batch, taps)
Pixels.features = slow
sync = os.fsync
def slow_sync(descriptor):
    time.sleep(float(os.environ.get("SECONDS_A_FILE", 0)))
    sync(descriptor)
os.fsync = slow_sync
"""


def slowed(folder: Path) -> Path:
    """A folder that slows down every Python process that has it on its path, by ``SECONDS_A_BATCH`` and so on."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SLOW)
    return folder


def path_of(site: Path) -> str:
    """Return a ``PYTHONPATH`` of ``site`` and of the package under test, whatever is installed."""
    return f"{site}{os.pathsep}{Path(__file__).resolve().parents[3]}"


@pytest.fixture
def start(tmp_path):
    """Make ``start("runner.workers=3", SECONDS_A_BATCH="0.01")`` start an extraction in the background."""
    slowed(tmp_path / "site")
    started = []

    def typed(*more: str, **env: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "foresight_cli", *WORDS, *more],
            cwd=tmp_path,
            env=user_env(PYTHONPATH=path_of(tmp_path / "site"), **env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        started.append(process)
        return process

    yield typed
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture(scope="session")
def plain(tmp_path_factory) -> dict[str, bytes]:
    """The files of the entry that a single process writes."""
    place = tmp_path_factory.mktemp("plain")
    command = [sys.executable, "-m", "foresight_cli", *WORDS, "cache_dir=plain"]
    subprocess.run(command, cwd=place, env=user_env(), check=True, capture_output=True)
    return visible(place / "plain")
