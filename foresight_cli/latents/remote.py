"""A cache on an object store, by any fsspec URL: ``s3://bucket/cache``, ``gs://...``, ``abfs://...``, ``memory://...``.

An object is there whole or not at all, so one put commits a file. Paths are ``upath.UPath``, which does what the cache
asks of a ``pathlib.Path``; the few things that differ are here. Credentials are the environment's and nobody else's.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

from foresight_cli.errors import ForesightError
from foresight_cli.user_path import user_path

OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss", "memory")
"""Where a put is atomic. Elsewhere (sftp, smb, hdfs) a file is put aside and then renamed."""
PACKAGES = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
"""Extras of foresight by scheme; other schemes have packages of their own."""
PART = 16 << 20
"""Bytes of one ranged read; the parts of an object are read side by side."""

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.:-]*)://(?P<rest>.*)", re.DOTALL)


def cache_root(cache_dir: str) -> Path:
    """The root of the cache: a folder of this machine, or a place on an object store.

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

        root: Any = UPath(cache_dir, use_listings_cache=False)  # other writers' files are to be seen
        root.fs.exists(root.path)
    except ImportError:
        extra = PACKAGES.get(scheme)
        alone = f"pip install universal-pathlib and the fsspec package for {scheme}://"
        install = f"pip install 'foresight-latents[{extra}]'" if extra else alone
        raise ForesightError(f"cache_dir={cache_dir} needs a package that is not installed: {install}") from None
    except ValueError as error:
        raise ForesightError(
            f"cache_dir={cache_dir}: {_first_line(error)}. Give a folder, or a URL as s3://bucket/folder"
        ) from None
    except Exception as error:  # every backend has errors of its own
        raise unreachable("reach", root, error) from None
    return cast(Path, root)


def refuse_secrets(cache_dir: str) -> None:
    """Refuse a URL that carries a password or a token: it would end up in configs and logs.

    Raises:
        ForesightError: without the URL itself.
    """
    match = _URL.fullmatch(cache_dir)
    if match is None:
        return
    if "::" in match["scheme"] or "::" in match["rest"]:
        raise ForesightError("cache_dir= chains two stores (::): give the plain URL; what is read is cached anyway")
    if re.search(r"^[^/]*:[^/]*@|[?#]", match["rest"]):
        raise ForesightError(
            f"cache_dir={match['scheme']}://... carries a password or a token, which would be written to configs and "
            "logs. Give the plain URL, and the credentials in the environment (AWS_ACCESS_KEY_ID, AWS_PROFILE, "
            "GOOGLE_APPLICATION_CREDENTIALS ...)"
        )


def is_remote(path: Path) -> bool:
    """Whether ``path`` lies on an object store."""
    return not isinstance(path, Path)


def put(path: Any, data: bytes) -> None:
    """Commit ``data`` as ``path``, whole or not at all, over whatever is there.

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
    """Commit ``data`` as ``path`` unless something is there; whether it was committed.

    Backends that can (S3, Google, memory) make sure that one of several writers wins; the others look first.

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
    """All bytes of ``path``, in ranged reads side by side.

    Raises:
        FileNotFoundError: it is not there.
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
    """Give an object another name: copied, then deleted.

    Raises:
        OSError: the store refuses.
    """
    path.fs.mv(path.path, to.path)


def unreachable(what: str, path: Path, error: Exception) -> ForesightError:
    """The one line for a store that refuses to ``what`` (reach, read, write) ``path``."""
    hint = ""
    if isinstance(error, PermissionError) or re.search("[Cc]redential|[Tt]oken|Forbidden|AccessDenied", repr(error)):
        hint = ". Credentials come from the environment alone (AWS_ACCESS_KEY_ID, AWS_PROFILE, "
        hint += "GOOGLE_APPLICATION_CREDENTIALS ...)"
    stays = "; what is already written stays, and the same command goes on from there" if what == "write" else ""
    return ForesightError(f"cannot {what} {path}: {type(error).__name__}: {_first_line(error)}{hint}{stays}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0].rstrip(".")
