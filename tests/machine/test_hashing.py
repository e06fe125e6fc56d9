"""Remembered hashes of files, and every way in which the memo could be wrong."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foresight_cli.machine import hashing
from foresight_cli.machine.hashing import sha256_of, sha256_of_each


@pytest.fixture
def memo(tmp_path, monkeypatch) -> Path:
    """The file of a memo that is still empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    return tmp_path / "xdg/foresight/hashes.sqlite"


@pytest.fixture
def later(monkeypatch):
    """Move the clock ten seconds ahead, so that files written just now count as settled."""
    monkeypatch.setattr(hashing, "time_ns", lambda: time.time_ns() + 10_000_000_000)


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """The paths of the files that were read, in any order."""
    paths: list[str] = []
    plain = os.open

    def counting(path, *args, **kwargs):
        paths.append(str(path))
        return plain(path, *args, **kwargs)

    monkeypatch.setattr(hashing.os, "open", counting)
    return paths


def rows(memo: Path) -> int:
    with contextlib.closing(sqlite3.connect(memo)) as database:
        return database.execute("SELECT count(*) FROM hashes").fetchone()[0]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def tick() -> None:
    """Let the clock of the file system advance: it may not change for some milliseconds."""
    time.sleep(0.012)


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 3_000_000])
def test_it_is_the_sha256_of_the_bytes(tmp_path, memo, later, size):
    data = random.Random(size).randbytes(size)
    path = write(tmp_path / "x", data)
    for _ in ("read", "remembered"):
        assert sha256_of(path) == hashlib.sha256(data).digest()


def test_remembered_files_are_not_read(tmp_path, memo, later, read):
    paths = [write(tmp_path / f"{i}", b"%d" % i) for i in range(2000)]
    expected = [hashlib.sha256(b"%d" % i).digest() for i in range(2000)]
    assert list(sha256_of_each(paths)) == expected
    assert sorted(read) == sorted(map(str, paths))
    assert rows(memo) == 2000
    read.clear()
    assert list(sha256_of_each(paths[::-1])) == expected[::-1]
    assert read == []
    changed = write(paths[7], b"other")
    assert list(sha256_of_each(paths[:9]))[7] == hashlib.sha256(b"other").digest()
    assert read == [str(changed)]
    assert rows(memo) == 2000


def test_names_do_not_matter_to_the_memory(tmp_path, memo, later, read):
    first = write(tmp_path / "a", b"1")
    sha256_of(first)
    (tmp_path / "link").symlink_to(first)
    assert sha256_of(tmp_path / "link") == hashlib.sha256(b"1").digest()
    other = write(tmp_path / "b", b"2")
    tick()
    other.rename(first)  # another file under the name of a remembered one
    assert sha256_of(first) == hashlib.sha256(b"2").digest()
    assert read == [str(first)] * 2


# --- files that change


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_bytes_gives_the_new_hash_even_with_size_and_mtime_restored(tmp_path, memo, later, data):
    before = data.draw(st.binary(min_size=1, max_size=64), label="before")
    after = data.draw(st.binary(min_size=len(before), max_size=len(before)).filter(before.__ne__), label="after")
    how = data.draw(st.sampled_from(["write", "patch", "replace"]), label="how")
    path = write(tmp_path / "x", before)
    assert sha256_of(path) == hashlib.sha256(before).digest()
    kept = path.stat()
    tick()
    if how == "write":
        path.write_bytes(after)
    elif how == "patch":
        with path.open("r+b") as file:
            file.write(after)
    else:
        write(tmp_path / "y", after).replace(path)
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (kept.st_size, kept.st_mtime_ns)
    assert sha256_of(path) == hashlib.sha256(after).digest()


def test_a_file_touched_just_now_is_neither_kept_nor_believed(tmp_path, memo, monkeypatch, read):
    path = write(tmp_path / "x", b"1")
    sha256_of(path)
    assert rows(memo) == 0
    with monkeypatch.context() as patched:
        patched.setattr(hashing, "time_ns", lambda: time.time_ns() + 10_000_000_000)
        sha256_of(path)
        assert rows(memo) == 1
        os.utime(write(tmp_path / "y", b""), (0, time.time() + 3600))  # an mtime in the future
        sha256_of(tmp_path / "y")
        assert rows(memo) == 1
    read.pop()
    assert sha256_of(path) == hashlib.sha256(b"1").digest()  # by the true clock it may still change
    assert read == [str(path)] * 3


def test_by_the_true_clock(tmp_path, memo, read):
    path = write(tmp_path / "x", b"1")
    kept = path.stat()
    time.sleep(2.1)
    assert sha256_of(path) == sha256_of(path) == hashlib.sha256(b"1").digest()
    assert read == [str(path)]
    path.write_bytes(b"2")
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert sha256_of(path) == hashlib.sha256(b"2").digest()
    assert read == [str(path)] * 2


def test_a_file_that_changes_while_it_is_read_is_not_kept(tmp_path, memo, later, monkeypatch):
    path = write(tmp_path / "x", b"1" * 200_000)
    tick()
    plain, grown = os.read, []

    def growing(file, size):
        data = plain(file, size)
        if not grown:
            grown.append(file)
            with path.open("ab") as more:
                more.write(b"2")
        return data

    with monkeypatch.context() as patched:
        patched.setattr(hashing.os, "read", growing)
        sha256_of(path)
    assert rows(memo) == 0
    assert sha256_of(path) == hashlib.sha256(b"1" * 200_000 + b"2").digest()


# --- files that cannot be read


def test_a_file_that_is_not_there(tmp_path, memo):
    with pytest.raises(FileNotFoundError) as caught:
        list(sha256_of_each([write(tmp_path / "x", b""), tmp_path / "y"]))
    assert str(caught.value.filename) == str(tmp_path / "y")


def test_a_folder_and_a_failing_disk_are_named(tmp_path, memo, monkeypatch):
    with pytest.raises(IsADirectoryError) as caught:
        sha256_of(tmp_path)
    assert caught.value.filename == str(tmp_path)

    def fails(file, size):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(hashing.os, "read", fails)
    with pytest.raises(OSError, match="Input/output error") as caught:
        sha256_of(write(tmp_path / "x", b"1"))
    assert caught.value.filename == str(tmp_path / "x")


# --- a memo that fails


def test_the_path_of_the_memo(tmp_path, monkeypatch, later):
    path = write(tmp_path / "x", b"1")
    for xdg, home, base in (("{}/a", "{}", "a"), ("", "{}/b", "b/.cache"), ("relative", "{}/c", "c/.cache")):
        monkeypatch.setenv("XDG_CACHE_HOME", xdg.format(tmp_path))  # a relative path is ignored, by the XDG rules
        monkeypatch.setenv("HOME", home.format(tmp_path))
        sha256_of(path)
        assert rows(tmp_path / base / "foresight/hashes.sqlite") == 1


@pytest.mark.parametrize("fault", ["no folder", "a folder in its place", "locked", "no home"])
def test_an_unusable_memo_is_not_an_error(tmp_path, memo, later, monkeypatch, fault):
    path = write(tmp_path / "x", b"1")
    with contextlib.ExitStack() as stack:
        if fault == "no folder":
            monkeypatch.setenv("XDG_CACHE_HOME", str(write(tmp_path / "file", b"")))
        elif fault == "a folder in its place":
            memo.mkdir(parents=True)
        elif fault == "no home":
            monkeypatch.delenv("XDG_CACHE_HOME")
            monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError))
        else:
            memo.parent.mkdir(parents=True)
            other = stack.enter_context(contextlib.closing(sqlite3.connect(memo, isolation_level=None)))
            other.execute("BEGIN EXCLUSIVE")
            plain = sqlite3.connect
            monkeypatch.setattr(sqlite3, "connect", lambda *args, **kw: plain(*args, **{**kw, "timeout": 0.01}))
        for _ in range(2):
            assert list(sha256_of_each([path] * 3)) == [hashlib.sha256(b"1").digest()] * 3


@pytest.mark.parametrize("damage", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000, None])
def test_a_damaged_or_foreign_memo_is_made_again(tmp_path, memo, later, read, damage):
    memo.parent.mkdir(parents=True)
    if damage:
        memo.write_bytes(damage)
    else:
        with contextlib.closing(sqlite3.connect(memo)) as database:
            database.execute("CREATE TABLE hashes (other)")
    path = write(tmp_path / "x", b"1")
    for _ in range(3):
        assert sha256_of(path) == hashlib.sha256(b"1").digest()
    assert read == [str(path)] * 2
    assert rows(memo) == 1


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_no_damage_to_the_memory_gives_a_wrong_hash(tmp_path, memo, later, seed):
    paths = [write(tmp_path / f"{i}", b"%d" % i) for i in range(20)]
    expected = [hashlib.sha256(b"%d" % i).digest() for i in range(20)]
    memo.unlink(missing_ok=True)
    list(sha256_of_each(paths))
    chance, data = random.Random(seed), bytearray(memo.read_bytes())
    for _ in range(chance.choice((1, 10, 1000))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    memo.write_bytes(data[: chance.choice((len(data), chance.randrange(len(data))))])
    assert list(sha256_of_each(paths)) == list(sha256_of_each(paths)) == expected


def test_the_oldest_are_forgotten(tmp_path, memo, later, read, monkeypatch):
    monkeypatch.setattr(hashing, "ROWS", 5)
    paths = [write(tmp_path / f"{i}", b"%d" % i) for i in range(8)]
    for path in paths:
        sha256_of(path)
    assert rows(memo) == 5
    read.clear()
    list(sha256_of_each(paths))
    assert sorted(read) == sorted(map(str, paths[:3]))


HASHER = """
import hashlib, sys, time
from pathlib import Path
from foresight_cli.machine import hashing
hashing.time_ns = lambda: time.time_ns() + 10_000_000_000
paths = sorted(Path("files").iterdir())
for _ in range(20):
    for path, digest in zip(paths, hashing.sha256_of_each(paths), strict=True):
        assert digest == hashlib.sha256(path.name.encode()).digest(), path
"""


def test_many_processes_share_one_memory(tmp_path, memo):
    (tmp_path / "files").mkdir()
    for i in range(300):
        write(tmp_path / f"files/{i}", b"%d" % i)
    running = [
        subprocess.Popen([sys.executable, "-c", HASHER], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    ends = [(process.communicate()[1], process.returncode) for process in running]
    assert ends == [("", 0)] * 4
    assert rows(memo) == 300
    with contextlib.closing(sqlite3.connect(memo)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_it_brings_nothing_heavy():
    code = "import sys, foresight_cli.machine.hashing; print({'torch', 'numpy', 'PIL', 'hydra'} & {*sys.modules})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"
