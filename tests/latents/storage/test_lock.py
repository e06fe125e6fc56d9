"""The lock of an entry: one process at a time, released when it dies, taken in an order that cannot deadlock."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from foresight_cli.errors import ForesightError
from foresight_cli.latents.storage.lock import Holder, held, locked

HOLD = """
import sys, time
from pathlib import Path
from foresight_cli.latents.storage.lock import locked
with locked([Path(sys.argv[1])], lambda *_: None):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock of ``tmp_path``."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_an_unlocked_entry_has_no_holder(tmp_path):
    assert held(tmp_path) is None
    with locked([tmp_path], lambda *_: pytest.fail("waited")):
        assert held(tmp_path) == Holder(os.getpid(), socket.gethostname())
    assert held(tmp_path) is None
    with locked([tmp_path], lambda *_: pytest.fail("waited")):  # the file that the first one left is not a lock
        assert held(tmp_path) is not None


def test_the_second_reports_the_holder_and_resumes_when_the_first_is_killed(tmp_path, other):
    calls = []

    def waiting(folder, holder):
        calls.append((folder, holder))
        os.kill(other.pid, signal.SIGKILL)  # the system gives the lock back

    with locked([tmp_path], waiting):
        assert held(tmp_path).pid == os.getpid()
    assert calls == [(tmp_path, Holder(other.pid, socket.gethostname()))]
    assert str(calls[0][1]) == f"process {other.pid} on {socket.gethostname()}"


def test_locks_are_taken_in_one_order_and_once(tmp_path, monkeypatch):
    import fcntl

    folders = [tmp_path / name for name in "cab"]
    for folder in folders:
        folder.mkdir()
    taken = []
    plain = fcntl.flock
    monkeypatch.setattr(fcntl, "flock", lambda file, how: taken.append(file.name.split("/")[-2]) or plain(file, how))
    with locked([*folders, folders[0]], lambda *_: pytest.fail("waited")):
        assert taken == ["a", "b", "c"]


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    import errno
    import fcntl

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked([tmp_path], lambda *_: pytest.fail("waited")):
        assert held(tmp_path) is None


def test_a_folder_that_is_gone_is_made_again(tmp_path, other):
    """The holder deletes the folder and the lock in it, as gc does, so the file that the second waits for is stale."""

    def waiting(folder, holder):
        shutil.rmtree(folder)
        os.kill(other.pid, signal.SIGKILL)

    with locked([tmp_path], waiting):
        assert held(tmp_path) == Holder(os.getpid(), socket.gethostname())


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ForesightError) as caught, locked([tmp_path / "file/entry"], lambda *_: None):
        pass
    assert str(caught.value) == (
        f"cannot write {tmp_path}/file/entry: Not a directory. Make room or pick another place with "
        "cache_dir=DIR; what is already written is kept, and the same command resumes from there"
    )


def test_an_unreadable_holder_is_another_process(tmp_path, other):
    (tmp_path / ".lock").write_text("{")
    assert str(held(tmp_path)) == "another process"
