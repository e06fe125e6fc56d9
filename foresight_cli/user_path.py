"""A path as a user types it: ``~`` is the home folder, and what no disk can hold is refused before it is looked for."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from foresight_cli.errors import UsageError


def user_path(key: str, text: str) -> str:
    """The path that ``text``, the value of the setting ``key``, names; a hub id, too, is a path that is not there.

    A name that only begins as a home folder does (``~x``, where no user is called x) is made absolute: it is that name.

    Raises:
        UsageError: it is empty, longer than any name on a disk, or in a folder that may not be entered.
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
