"""Low priority for threads that read and write, in favour of the network."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress


def step_back() -> None:
    """Let this thread run only when the network leaves a core free.

    On a CPU the threads of a matrix product wait for the slowest of them: one that must share its core with a reader
    makes a batch several times slower.
    """
    if sys.platform != "linux":  # elsewhere this would lower the whole process
        return
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
