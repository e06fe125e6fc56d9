"""SHA-256 of files, with a memo: files that have not changed since an earlier run are not read again.

A remembered hash holds for one device, inode, size, mtime and ctime. No user can set a ctime, so a file rewritten
with its old mtime is read again. A file touched in the last two seconds is neither looked up nor remembered: the
clock of the file system may not tick between the reading and the next change (git calls such files racy).
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from time import time_ns

from foresight_cli.machine.user_cache import user_cache

ROWS = 5_000_000
"""Number of files that are remembered; beyond it the oldest are forgotten."""

_SETTLED_NS = 2_000_000_000
_FILES_PER_QUERY = 900  # older SQLite takes 999 values
_FILES_PER_TASK = 64  # one task per small file would take longer than reading it
_BYTES_PER_READ = 1 << 16  # the 256 KB buffer of hashlib.file_digest costs more than hashing a picture

_FAULTS = (OSError, sqlite3.Error, ValueError, TypeError)  # the last two: damaged text, and a number for a hash
_NOT_DAMAGE = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
)


def sha256_of(path: str | Path) -> bytes:
    """Return SHA-256 of the bytes of the file ``path``.

    Raises:
        OSError: it cannot be read.
    """
    (digest,) = sha256_of_each([path])
    return digest


def sha256_of_each(paths: Sequence[str | Path]) -> Iterator[bytes]:
    """Yield SHA-256 of the bytes of each file, in order.

    Raises:
        OSError: a file cannot be read; ``filename`` is its path.
    """
    memo = _Memo(_memo_path())
    try:
        with ThreadPoolExecutor() as pool:
            for start in range(0, len(paths), _FILES_PER_QUERY):
                yield from _digests(paths[start : start + _FILES_PER_QUERY], memo, pool)
    finally:
        memo.close()


def unread_bytes(paths: Sequence[str | Path]) -> int:
    """Return the bytes of ``paths`` that :func:`sha256_of_each` must read because no earlier run has hashed them.

    Raises:
        OSError: a file does not exist.
    """
    memo = _Memo(_memo_path())
    try:
        states = [Path(path).stat() for path in paths]
        remembered = memo.recall([state for state in states if _settled(state, time_ns())])
        return sum(state.st_size for state in states if _identity(state) not in remembered)
    finally:
        memo.close()


def _digests(paths: Sequence[str | Path], memo: _Memo, pool: ThreadPoolExecutor) -> list[bytes]:
    states = [os.stat(path) for path in paths]  # noqa: PTH116 (twice as fast as Path.stat for 100,000 names)
    remembered = memo.recall([state for state in states if _settled(state, time_ns())])
    digests = [remembered.get(_identity(state)) for state in states]
    unread = [i for i, digest in enumerate(digests) if digest is None]
    tasks = [
        [paths[i] for i in unread[start : start + _FILES_PER_TASK]] for start in range(0, len(unread), _FILES_PER_TASK)
    ]
    read = [pair for task in pool.map(lambda paths: [_read(path) for path in paths], tasks) for pair in task]
    memo.keep([(state, digest) for digest, state in read if state is not None])
    for i, (digest, _) in zip(unread, read, strict=True):
        digests[i] = digest
    return [digest for digest in digests if digest is not None]


def _read(path: str | Path) -> tuple[bytes, os.stat_result | None]:
    """Return the hash, and the state of the file for which it holds; None if the file may be changing."""
    total, now = hashlib.sha256(), time_ns()
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            before = os.fstat(file)
            while data := os.read(file, _BYTES_PER_READ):
                total.update(data)
            after = os.fstat(file)
        finally:
            os.close(file)
    except OSError as error:
        error.filename = str(path)  # a failing read, unlike a failing open, does not name the file
        raise
    return total.digest(), before if _settled(before, now) and _identity(before) == _identity(after) else None


def _settled(state: os.stat_result, now: int) -> bool:
    return max(state.st_mtime_ns, state.st_ctime_ns) + _SETTLED_NS < now and S_ISREG(state.st_mode)


def _name(state: os.stat_result) -> bytes:
    return b"%d %d" % (state.st_dev, state.st_ino)


def _identity(state: os.stat_result) -> bytes:
    return b"%d %d %d %d %d" % (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def _memo_path() -> Path | None:
    """Return the file in which hashes are remembered; None if this machine has no suitable place."""
    if os.name != "posix":  # elsewhere ctime is the time of creation, which a change does not update
        return None
    try:
        return user_cache() / "hashes.sqlite"
    except RuntimeError:  # a user without a home
        return None


class _Memo:
    """The hashes of earlier runs, in SQLite. If it is locked, full, damaged or refused, it forgets; it never fails.

    A row's seal is a hash over the file's identity and its SHA-256, so that damage to the database is always detected.
    The journal is SQLite's older kind: the newer one (WAL) does not work on network disks, where homes often are.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None
        if path is None:
            return
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=5, isolation_level=None)
            self._database.execute("PRAGMA synchronous = OFF")  # lost or torn after a power cut: then it is made again
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS hashes (file BLOB PRIMARY KEY, sha256 BLOB NOT NULL, seal BLOB NOT NULL)"
            )
        except _FAULTS as error:
            self._give_up(error)

    def recall(self, states: Sequence[os.stat_result]) -> dict[bytes, bytes]:
        """Return the remembered hashes, by :func:`_identity`."""
        if self._database is None or not states:
            return {}
        marks = ",".join("?" * len(states))
        query = f"SELECT file, sha256, seal FROM hashes WHERE file IN ({marks})"
        try:
            rows = {file: row for file, *row in self._database.execute(query, [_name(state) for state in states])}
            candidates = ((_identity(state), rows.get(_name(state))) for state in states)
            return {identity: row[0] for identity, row in candidates if row and row[1] == _seal(identity, row[0])}
        except _FAULTS as error:
            self._give_up(error)
            return {}

    def keep(self, hashed: Sequence[tuple[os.stat_result, bytes]]) -> None:
        """Remember ``hashed``, and forget the oldest rows beyond :data:`ROWS`."""
        if self._database is None or not hashed:
            return
        rows = [(_name(state), digest, _seal(_identity(state), digest)) for state, digest in hashed]
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?)", rows)
            self._database.execute("DELETE FROM hashes WHERE rowid <= (SELECT max(rowid) FROM hashes) - ?", (ROWS,))
            self._database.execute("COMMIT")
        except _FAULTS as error:
            self._give_up(error)

    def close(self) -> None:
        """Close the file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _give_up(self, error: Exception) -> None:
        """Work without the memo from now on. A damaged file is deleted: the next run makes a new one."""
        self.close()
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if isinstance(error, OSError) or code in _NOT_DAMAGE or self._path is None:
            return
        for path in (self._path, self._path.with_name(f"{self._path.name}-journal")):
            with suppress(OSError):
                path.unlink()


def _seal(identity: bytes, digest: bytes) -> bytes:
    return hashlib.blake2b(identity + digest, digest_size=16).digest()
