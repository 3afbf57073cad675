"""Folders out of sight in which one process makes or takes apart a model; what a killed one left is removed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import psutil

PREFIX = ".building-"
CLOCK_STEP_S = 5.0  # a process's start seems to move when the machine's clock is set


def working_name() -> str:
    """How the names of this process's own folders begin."""
    me = psutil.Process()
    return f"{PREFIX}{me.pid}-{round(me.create_time())}-"


def sweep(folder: Path) -> None:
    """Remove what processes that have ended left in `folder`."""
    for left in folder.glob(f"{PREFIX}*"):
        if not _has_owner(left):
            shutil.rmtree(left, ignore_errors=True)


def _has_owner(work: Path) -> bool:
    """Whether the process that made a working folder still runs; its number alone may be another's by now."""
    found = re.fullmatch(r"(\d{1,9})-(\d{1,12})-.*", work.name.removeprefix(PREFIX))
    if found is None:
        return False
    try:
        process = psutil.Process(int(found[1]))
        began: float = process.create_time()
        ended = process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
    return not ended and abs(began - int(found[2])) < CLOCK_STEP_S
