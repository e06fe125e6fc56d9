"""The folder in which foresight keeps what it can make again, by the XDG rules."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache() -> Path:
    """Return foresight's folder in ``$XDG_CACHE_HOME``, which is ignored unless absolute, or in ``~/.cache``.

    Raises:
        RuntimeError: the user has no home.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "foresight"
