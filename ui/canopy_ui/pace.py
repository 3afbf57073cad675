"""How often the window is painted."""

from __future__ import annotations

import time
from collections.abc import Callable

FASTEST_MS = 33
SLOWEST_MS = 100
SHARE = 0.15  # of one core that painting may take from the model
REST_FACTOR = 9.0  # while the model generates, the reader rests this many times what a picture took


class Pace:
    """Repainting slows before tokens do: the dearer the last paint was, the longer until the next.

    `clock` gives the seconds of processor time that the GUI thread has used, all painting included.
    """

    def __init__(self, clock: Callable[[], float] = time.thread_time) -> None:
        self._clock = clock
        self._used_s = clock()
        self._interval_ms = FASTEST_MS

    def interval_ms(self, *, busy: bool) -> int:
        """Milliseconds until the next repaint; the fastest while the model does not need the cores."""
        return self._interval_ms if busy else FASTEST_MS

    def note_repaint(self) -> None:
        """A repaint begins: what was used since the last one is what that one cost."""
        used_s = self._clock()
        cost_ms = 1000 * (used_s - self._used_s)
        self._used_s = used_s
        self._interval_ms = round(min(max(cost_ms / SHARE, FASTEST_MS), SLOWEST_MS))
