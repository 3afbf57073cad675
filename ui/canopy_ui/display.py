"""Whether there is a screen to show a window on."""

from __future__ import annotations

import os
import subprocess
import sys

PROBE_S = 20
_PROBE = "from PySide6.QtGui import QGuiApplication; QGuiApplication([])"


def display_is_reachable() -> bool:
    """Try in a process of its own: Qt aborts the process where it cannot connect."""
    if os.environ.get("QT_QPA_PLATFORM"):
        return True  # the person has chosen
    if sys.platform != "linux":
        return True
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    try:
        probe = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, timeout=PROBE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return probe.returncode == 0
