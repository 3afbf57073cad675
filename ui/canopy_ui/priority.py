"""Who gets a core first when there are fewer cores than wishes."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

NICENESS = 5


def step_behind_the_window() -> None:
    """Let the calling thread, and those that it starts, give way to the GUI thread.

    On Linux, where Qt's thread priorities do nothing: there each thread has a niceness, and inherits it.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
