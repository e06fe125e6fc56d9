"""Paths that a user types: ``~`` is the home folder, and impossible names are refused before they are looked up."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from foresight_cli.errors import UsageError


def user_path(key: str, text: str) -> str:
    """Return the path that ``text``, the value of the setting ``key``, names. It need not exist: hub ids pass, too.

    A name that only looks like a home folder (``~x`` without a user x) is made absolute, so that it stays that name.

    Raises:
        UsageError: it is empty, too long for any disk, or in a folder that may not be entered.
    """
    if not text:
        raise UsageError(f"{key}= is empty: give a path")
    path = os.path.expanduser(text)  # noqa: PTH111 (Path.expanduser raises where no such user exists)
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            shown = text if len(text) <= 100 else f"{text[:50]}..."
            raise UsageError(f"{key}={shown}: {error.strerror}") from None
    return str(Path(path).absolute()) if path.startswith("~") else path
