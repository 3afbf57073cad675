"""Open the window; where no display can be reached, make pictures of it instead (`make run`)."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROBE_S = 20
_PROBE = "from PySide6.QtGui import QGuiApplication; QGuiApplication([])"


def display_is_reachable(environment: Mapping[str, str]) -> bool:
    """Try to connect in a process of its own: Qt aborts the process when it cannot."""
    if not (environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")):
        return False
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE], env=dict(environment), capture_output=True, timeout=PROBE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return probe.returncode == 0


def make_pictures(program: Path, environment: Mapping[str, str], folder: Path) -> int:
    """Have the program picture its window after a real run, and say where; 1 if no new picture is there afterwards."""
    started = time.time() - 1  # a file's time may be coarser than the clock
    print(f"No display can be reached: making pictures of the window in {folder}", flush=True)
    made = subprocess.run(
        [program, "snapshot", "--out", folder], env={**environment, "QT_QPA_PLATFORM": "offscreen"}, check=False
    )
    if made.returncode != 0:
        return 1
    pictures = [p for p in folder.glob("*.png") if p.stat().st_mtime >= started and p.stat().st_size > 0]
    if not pictures:
        print(
            "No picture was written: check that this folder can be written to and the disk is not full.",
            file=sys.stderr,
        )
        return 1
    return 0


def main() -> int:
    """Run the program that lies beside this Python."""
    program = Path(sys.executable).parent / "canopy-desktop"
    if display_is_reachable(os.environ):
        return subprocess.run([program], check=False).returncode
    return make_pictures(program, os.environ, ROOT / "pictures")


if __name__ == "__main__":
    sys.exit(main())
