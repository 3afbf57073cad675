"""How much memory the whole program takes."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

PERIOD_S = 0.25  # asking the system takes a millisecond, too long for every repaint


class MemoryGauge:
    """Asks the system now and then, and says the last answer in between."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._process = psutil.Process()
        self._clock = clock
        self._due = float("-inf")
        self._bytes = 0

    def bytes(self) -> int:
        """The resident set."""
        now = self._clock()
        if now >= self._due:
            self._due = now + PERIOD_S
            self._bytes = self._process.memory_info().rss
        return self._bytes
