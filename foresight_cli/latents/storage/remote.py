"""A cache on an object store, by any fsspec URL: ``s3://bucket/cache``, ``gs://...``, ``abfs://...``, ``memory://...``.

An object exists whole or not at all, so one put commits a file. Paths are ``upath.UPath``, which does what the cache
needs of a ``pathlib.Path``; the few differences are handled here. Credentials come only from the environment.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

from foresight_cli.config.user_path import user_path
from foresight_cli.errors import ForesightError, first_line

OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss", "memory")
"""Schemes with an atomic put. Elsewhere (sftp, smb, hdfs) a file is written aside and then renamed."""
PACKAGES = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
"""Extras of foresight by scheme; other schemes need their fsspec package."""
PART = 16 << 20
"""Bytes of one ranged read; the parts of an object are read side by side."""

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.:-]*)://(?P<rest>.*)", re.DOTALL)


def cache_root(cache_dir: str) -> Path:
    """Return the root of the cache: a folder of this machine, or a path on an object store.

    Args:
        cache_dir: a path, or an fsspec URL.

    Raises:
        UsageError: a path that no disk can hold.
        ForesightError: no such kind of store, its package is not installed, it cannot be reached, or a password is in
            the URL.
    """
    match = _URL.fullmatch(cache_dir)
    if match is None:
        return Path(user_path("cache_dir", cache_dir))
    refuse_secrets(cache_dir)
    scheme = match["scheme"].lower()
    if scheme in ("file", "local"):
        return Path(match["rest"])
    try:
        from upath import UPath

        root: Any = UPath(cache_dir, use_listings_cache=False)  # other writers' files must be visible
        root.fs.exists(root.path)
    except ImportError:
        extra = PACKAGES.get(scheme)
        by_hand = f"pip install universal-pathlib and the fsspec package for {scheme}://"
        install = f"pip install 'foresight-latents[{extra}]'" if extra else by_hand
        raise ForesightError(f"cache_dir={cache_dir} needs a package that is not installed: {install}") from None
    except ValueError as error:
        raise ForesightError(
            f"cache_dir={cache_dir}: {first_line(error)}. Give a folder, or a URL such as s3://bucket/folder"
        ) from None
    except Exception as error:  # every backend raises other errors
        raise unreachable("reach", root, error) from None
    return cast(Path, root)


def refuse_secrets(cache_dir: str) -> None:
    """Refuse a URL that carries a password or a token: it would end up in configs and logs.

    Raises:
        ForesightError: the URL carries one; the message does not repeat the URL.
    """
    match = _URL.fullmatch(cache_dir)
    if match is None:
        return
    if "::" in match["scheme"] or "::" in match["rest"]:
        raise ForesightError(
            "cache_dir= chains two stores (::): give the plain URL; what is read is cached on this machine anyway"
        )
    if re.search(r"^[^/]*:[^/]*@|[?#]", match["rest"]):
        raise ForesightError(
            f"cache_dir={match['scheme']}://... carries a password or a token, which would be written to configs and "
            "logs. Give the plain URL, and the credentials in the environment (AWS_ACCESS_KEY_ID, AWS_PROFILE, "
            "GOOGLE_APPLICATION_CREDENTIALS ...)"
        )


def is_remote(path: Path) -> bool:
    """Check whether ``path`` is on an object store."""
    return not isinstance(path, Path)


def put(path: Any, data: bytes) -> None:
    """Commit ``data`` as ``path``, whole or not at all; an existing object is replaced.

    Raises:
        ForesightError: the store refuses.
    """
    try:
        if path.protocol in OBJECT_STORES:
            path.fs.pipe_file(path.path, data)
        else:
            from uuid import uuid4

            path.fs.makedirs(path.parent.path, exist_ok=True)
            aside = path.with_name(f".tmp-remote-0-{uuid4().hex[:8]}")
            path.fs.pipe_file(aside.path, data)
            path.fs.mv(aside.path, path.path)
    except Exception as error:
        raise unreachable("write", path, error) from None


def put_if_absent(path: Any, data: bytes) -> bool:
    """Commit ``data`` as ``path`` unless it exists; return whether it was committed.

    Some backends (S3, Google, memory) make sure that only one of several writers wins; the others only look first.

    Raises:
        ForesightError: the store refuses.
    """
    try:
        path.fs.pipe_file(path.path, data, mode="create")
        return True
    except FileExistsError:
        return False
    except (TypeError, ValueError, NotImplementedError):
        pass
    except Exception as error:
        if "PreconditionFailed" in repr(error) or "412" in str(error):
            return False
        raise unreachable("write", path, error) from None
    if path.exists():
        return False
    put(path, data)
    return True


def download(path: Any) -> bytes:
    """Return all bytes of ``path``, read in ranges side by side.

    Raises:
        FileNotFoundError: it does not exist.
        ForesightError: the store refuses.
    """
    try:
        size = int(path.fs.info(path.path)["size"])
        starts = list(range(0, size, PART))
        if len(starts) < 2:
            return bytes(path.fs.cat_file(path.path))
        ends = [min(start + PART, size) for start in starts]
        return b"".join(path.fs.cat_ranges([path.path] * len(starts), starts, ends, on_error="raise"))
    except FileNotFoundError:
        raise
    except Exception as error:
        raise unreachable("read", path, error) from None


def move(path: Any, to: Any) -> None:
    """Rename an object: it is copied, then deleted.

    Raises:
        OSError: the store refuses.
    """
    path.fs.mv(path.path, to.path)


def unreachable(what: str, path: Path, error: Exception) -> ForesightError:
    """Return the one-line error for a store that fails to ``what`` (reach, read, write) ``path``."""
    hint = ""
    if isinstance(error, PermissionError) or re.search("[Cc]redential|[Tt]oken|Forbidden|AccessDenied", repr(error)):
        hint = ". Credentials come only from the environment (AWS_ACCESS_KEY_ID, AWS_PROFILE, "
        hint += "GOOGLE_APPLICATION_CREDENTIALS ...)"
    resume = "; what is already written is kept, and the same command resumes from there" if what == "write" else ""
    return ForesightError(f"cannot {what} {path}: {type(error).__name__}: {first_line(error)}{hint}{resume}")
